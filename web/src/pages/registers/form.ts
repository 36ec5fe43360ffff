// The form of a row: values as texts that a person types, and back, checked by the contract before
// the server checks them again.
import type { Geometry, RegisterField } from '@/api/registers';
import type { Cell } from '@/api/types';
import { fromZone, toZone } from '@/app/zone';
import type { Wrong } from '@/components/refusal/refusal';
import { moment } from '@/i18n/format';

export type Draft = Record<string, string>;
export type FieldRules = Pick<RegisterField, 'name' | 'type' | 'required' | 'codes'>;

export type Read = { value: Cell } | { wrong: Wrong };

const CENTS = 100;
const LON_MAX = 180;
const LAT_MAX = 90;

/** A value as its form shows it. */
export function toForm(field: FieldRules, value: Cell | undefined, zone: string): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'object') return JSON.stringify(value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (field.type === 'money' && typeof value === 'number') return (value / CENTS).toFixed(2);
  if (field.type === 'timestamp' && typeof value === 'string') return toZone(moment(value), zone);
  return String(value);
}

export function draftOf(
  fields: readonly FieldRules[],
  values: Record<string, Cell>,
  zone: string,
): Draft {
  return Object.fromEntries(
    fields.map((field) => [field.name, toForm(field, values[field.name], zone)]),
  );
}

function readGeometry(typed: string): Read {
  let shape: Geometry;
  try {
    shape = JSON.parse(typed) as Geometry;
  } catch {
    return { wrong: 'badShape' };
  }
  if (shape === null || typeof shape !== 'object' || typeof shape.type !== 'string') {
    return { wrong: 'badShape' };
  }
  if (shape.type === 'Point') {
    const [lon, lat] = (Array.isArray(shape.coordinates) ? shape.coordinates : []) as number[];
    const inside =
      typeof lon === 'number' &&
      typeof lat === 'number' &&
      Math.abs(lon) <= LON_MAX &&
      Math.abs(lat) <= LAT_MAX;
    if (!inside) return { wrong: 'badPoint' };
  }
  return { value: shape };
}

/** What was typed, as the server takes it. Money goes as yuan in text: no figure is rounded. */
export function fromForm(field: FieldRules, typed: string, zone: string): Read {
  const text = typed.trim();
  if (text === '') return field.required ? { wrong: 'missing' } : { value: null };
  if (field.codes.length > 0 && !field.codes.includes(text)) return { wrong: 'badCode' };
  switch (field.type) {
    case 'integer':
      return /^[+-]?\d{1,15}$/.test(text) ? { value: Number(text) } : { wrong: 'badInteger' };
    case 'number': {
      const value = Number(text);
      return Number.isFinite(value) ? { value } : { wrong: 'badNumber' };
    }
    case 'money':
      return /^[+-]?\d+(\.\d{1,2})?$/.test(text) ? { value: text } : { wrong: 'badNumber' };
    case 'boolean':
      return { value: text === 'true' };
    case 'date': {
      const known = /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));
      return known ? { value: text } : { wrong: 'badDate' };
    }
    case 'timestamp': {
      const at = fromZone(text, zone);
      return at ? { value: at.toISOString() } : { wrong: 'badTime' };
    }
    case 'area_code':
      return /^\d{12,}$/.test(text) ? { value: text } : { wrong: 'badArea' };
    case 'geometry':
      return readGeometry(text);
    default:
      return { value: text };
  }
}

/** What differs from how the form was opened, and what of it is wrong. */
export function readDraft(
  fields: readonly FieldRules[],
  draft: Draft,
  opened: Draft | null,
  zone: string,
): { changed: Record<string, Cell>; wrong: Record<string, Wrong> } {
  const changed: Record<string, Cell> = {};
  const wrong: Record<string, Wrong> = {};
  for (const field of fields) {
    const typed = draft[field.name] ?? '';
    if (opened && typed.trim() === (opened[field.name] ?? '').trim()) continue;
    const read = fromForm(field, typed, zone);
    if ('wrong' in read) wrong[field.name] = read.wrong;
    else if (opened || read.value !== null) changed[field.name] = read.value;
  }
  return { changed, wrong };
}

export interface Clash {
  name: string;
  before: Cell;
  theirs: Cell;
  mine: Cell;
  /** Whom it was changed by since; `both` has to be decided. */
  by: 'mine' | 'theirs' | 'both';
}

const same = (a: Cell, b: Cell): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What two people made of one row. */
export function clashes(
  before: Record<string, Cell>,
  theirs: Record<string, Cell>,
  mine: Record<string, Cell>,
): Clash[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(theirs)])];
  return names.flatMap((name): Clash[] => {
    const [was, now] = [before[name] ?? null, theirs[name] ?? null];
    const changed = !same(was, now);
    const wanted = name in mine ? (mine[name] ?? null) : was;
    if (!changed && !(name in mine)) return [];
    const one = { name, before: was, theirs: now, mine: wanted };
    if (!(name in mine) || same(wanted, now)) return [{ ...one, by: 'theirs' }];
    return [{ ...one, by: changed ? 'both' : 'mine' }];
  });
}
