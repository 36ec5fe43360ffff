// From rows to what a chart draws. Which column lies along the axis and which are the series is
// read from the columns' types, and can be said.
import type { Cell, Column, Row } from '@/api/types';
import { moment } from '@/i18n/format';
import { displayWidth } from '../table';

export type ChartKind = 'line' | 'bar' | 'scatter' | 'pie';

export interface Series {
  name: string;
  values: (number | null)[];
}

export interface ChartSpec {
  kind: ChartKind;
  /** The axis is time: labels are moments. */
  time: boolean;
  labels: string[];
  series: Series[];
  unit?: string;
  target?: number | null;
  floor?: number | null;
}

export interface Choice {
  kind: ChartKind;
  x: string | null;
  y: string[];
  /** A column whose values are the series. */
  by?: string | null;
}

export const SERIES_MAX = 6;

const BARS_STANDING_MAX = 12;
const LETTERS_STANDING_MAX = 56;
const LINE_PX = 19;
const AROUND_PX = 52;
const LINES_MAX = 60;

/** Long names of many bars are read more easily lying down. */
export function lies(spec: ChartSpec): boolean {
  if (spec.kind !== 'bar' || spec.time || spec.labels.every((text) => Number(text))) return false;
  const letters = spec.labels.reduce((sum, label) => sum + displayWidth(label) + 2, 0);
  return spec.labels.length > BARS_STANDING_MAX || letters > LETTERS_STANDING_MAX;
}

/** The height at which each lying bar has its name beside it; at least what was asked for. */
export function heightOf(spec: ChartSpec, least: number): number {
  if (!lies(spec)) return least;
  return Math.max(least, Math.min(spec.labels.length, LINES_MAX) * LINE_PX + AROUND_PX);
}

const NUMERIC = /^(u?int|float|double|decimal|number|integer|real|bigint)/i;
const TIME = /^(timestamp|date|time)/i;

export function isNumeric(column: Column, rows: readonly Row[]): boolean {
  if (column.type && NUMERIC.test(column.type)) return true;
  if (column.type && TIME.test(column.type)) return false;
  const values = rows.map((row) => row[column.name]).filter((value) => value != null);
  return values.length > 0 && values.every((value) => typeof value === 'number');
}

const LOOKS_LIKE_TIME = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)/;

export function isTime(column: Column, rows: readonly Row[]): boolean {
  if (column.type && TIME.test(column.type)) return true;
  const values = rows.map((row) => row[column.name]).filter((value) => value != null);
  return (
    values.length > 0 &&
    values.every((value) => typeof value === 'string' && LOOKS_LIKE_TIME.test(value))
  );
}

/** A sensible drawing of an answer; null where there is nothing to draw. */
export function choose(columns: readonly Column[], rows: readonly Row[]): Choice | null {
  if (rows.length === 0) return null;
  const numeric = columns.filter((column) => isNumeric(column, rows));
  const others = columns.filter((column) => !numeric.includes(column));
  const time = others.find((column) => isTime(column, rows));
  if (numeric.length === 0) return null;
  const y = numeric.slice(0, SERIES_MAX).map((column) => column.name);
  if (time) {
    const by = others.find((column) => column !== time && !isTime(column, rows));
    return { kind: 'line', x: time.name, y: by ? y.slice(0, 1) : y, by: by?.name ?? null };
  }
  if (others.length > 0) return { kind: 'bar', x: others[0]?.name ?? null, y };
  if (numeric.length > 1) return { kind: 'scatter', x: y[0] ?? null, y: y.slice(1, 2) };
  return { kind: 'bar', x: null, y };
}

const figure = (value: Cell | undefined): number | null => {
  if (typeof value === 'number') return value;
  if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))) {
    return Number(value);
  }
  return null;
};

const label = (value: Cell | undefined): string => (value == null ? '—' : String(value));

function pivot(
  choice: Choice,
  labels: string[],
  rows: readonly Row[],
  nameOf: (value: Cell | undefined) => string,
): Series[] {
  const by = choice.by ?? '';
  const y = choice.y[0] ?? '';
  const place = new Map(labels.map((text, at) => [text, at]));
  const series = new Map<string, (number | null)[]>();
  for (const row of rows) {
    const name = label(row[by]);
    if (!series.has(name) && series.size >= SERIES_MAX) continue;
    const values = series.get(name) ?? labels.map(() => null);
    values[place.get(label(row[choice.x ?? ''])) ?? 0] = figure(row[y]);
    series.set(name, values);
  }
  return [...series].map(([name, values]) => ({ name: nameOf(name), values }));
}

const plain = (_column: Column, value: Cell | undefined): string => label(value);

/** What to draw. Along an axis of time the rows are put in order. */
export function specOf(
  choice: Choice,
  columns: readonly Column[],
  rows: readonly Row[],
  titleOf: (column: Column) => string = (column) => column.name,
  nameOf: (column: Column, value: Cell | undefined) => string = plain,
): ChartSpec {
  const x = columns.find((column) => column.name === choice.x);
  const time = x !== undefined && choice.kind !== 'scatter' && isTime(x, rows);
  const at = (row: Row): number => moment(label(row[choice.x ?? ''])).getTime();
  const ordered = time ? [...rows].sort((a, b) => at(a) - at(b)) : rows;
  const all = ordered.map((row, place) => (x ? label(row[x.name]) : String(place + 1)));
  const named = (labels: string[]): string[] =>
    x?.labels ? labels.map((value) => nameOf(x, value)) : labels;
  const seriesName = (name: string): string => {
    const column = columns.find((one) => one.name === name);
    return column ? titleOf(column) : name;
  };
  const unit = columns.find((column) => column.name === choice.y[0])?.unit ?? undefined;
  const base = { kind: choice.kind, time, ...(unit ? { unit } : {}) };
  if (choice.by) {
    const labels = [...new Set(all)];
    const by = columns.find((column) => column.name === choice.by);
    const series = pivot(choice, labels, ordered, (value) =>
      by ? nameOf(by, value) : label(value),
    );
    return { ...base, labels: named(labels), series };
  }
  const series = choice.y.map((name) => ({
    name: seriesName(name),
    values: ordered.map((row) => figure(row[name])),
  }));
  return { ...base, labels: named(all), series };
}
