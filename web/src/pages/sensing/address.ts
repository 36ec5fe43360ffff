// What the sensing pages keep in the address, so that a link shows the same: filters, the Datastreams
// of a chart, and its time.
import type { LocationQuery, LocationQueryRaw } from 'vue-router';
import type { CensusBy, DeviceFilter } from '@/api/sensing';
import { isState } from './state';

const word = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? value : null;

export const CENSUS_BY: readonly CensusBy[] = ['area', 'department', 'kind'];

export function censusBy(query: LocationQuery): CensusBy {
  return CENSUS_BY.find((by) => by === query.by) ?? 'area';
}

export function filterOf(query: LocationQuery): DeviceFilter {
  const state = word(query.state);
  return {
    department: word(query.department),
    kind: word(query.kind),
    state: isState(state) ? state : null,
    q: word(query.q),
  };
}

/** The words of a filter that are said; those that are not take theirs out of the address. */
export function filterQuery(filter: DeviceFilter): LocationQueryRaw {
  const { department, kind, state, q } = filter;
  return {
    department: department || undefined,
    kind: kind || undefined,
    state: state || undefined,
    q: q || undefined,
  };
}

export const COMPARED_MAX = 6;

/** Ids of Datastreams: numbers, each once, no more than fit in a chart. */
export function idsOf(value: unknown): number[] {
  const words = typeof value === 'string' ? value.split(',') : [];
  const ids = words.filter((one) => /^\d{1,15}$/.test(one)).map(Number);
  return [...new Set(ids)].slice(0, COMPARED_MAX);
}

export const SPANS = ['day', 'week', 'month', 'year'] as const;
export type Span = (typeof SPANS)[number];
export type Range = { span: Span } | { from: Date; to: Date };

const DAY_MS = 86_400_000;
const SPAN_MS: Record<Span, number> = {
  day: DAY_MS,
  week: 7 * DAY_MS,
  month: 30 * DAY_MS,
  year: 366 * DAY_MS,
};

/** `?span=week`, or `?from=…&to=…` for a time that was chosen. */
export function rangeOf(query: LocationQuery): Range {
  const from = new Date(word(query.from) ?? Number.NaN);
  const to = new Date(word(query.to) ?? Number.NaN);
  if (from.getTime() < to.getTime()) return { from, to };
  return { span: SPANS.find((span) => span === query.span) ?? 'day' };
}

export function rangeQuery(range: Range): LocationQueryRaw {
  if ('span' in range) {
    return { span: range.span === 'day' ? undefined : range.span, from: undefined, to: undefined };
  }
  return { span: undefined, from: range.from.toISOString(), to: range.to.toISOString() };
}

/** From when to when: a span ends now, so that it moves on with the readings. */
export function boundsOf(range: Range, now: number): { from: Date; to: Date } {
  if (!('span' in range)) return range;
  return { from: new Date(now - SPAN_MS[range.span]), to: new Date(now) };
}

/** Whether new readings can still come into it. */
export const moves = (range: Range, now: number): boolean =>
  'span' in range || range.to.getTime() > now;
