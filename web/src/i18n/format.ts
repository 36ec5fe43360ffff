// Numbers, times and units as people read them, in the city's time zone.
import { ref } from 'vue';
import type { Text } from '@/api/types';
import { language, text } from '.';

const zone = ref('Asia/Shanghai');

/** The city's zone, as the server names it. */
export function setZone(name: string): void {
  zone.value = name;
}

export const cityZone = zone;

const tag = (): string => (language.value === 'zh' ? 'zh-CN' : 'en-GB');

export function number(value: number, digits = 2): string {
  return new Intl.NumberFormat(tag(), { maximumFractionDigits: digits }).format(value);
}

/** A figure short enough for a tile: 21.4 million, 2140万. */
export function compact(value: number): string {
  if (Math.abs(value) < 100_000) return number(value, Math.abs(value) < 100 ? 2 : 1);
  const options = { notation: 'compact', maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat(tag(), options).format(value);
}

export function percent(share: number, digits = 1): string {
  const options = { style: 'percent', maximumFractionDigits: digits } as const;
  return new Intl.NumberFormat(tag(), options).format(share);
}

/** Times come without a zone from SQL; they are UTC. */
export function moment(value: string | number | Date): Date {
  if (value instanceof Date || typeof value === 'number') return new Date(value);
  const plain = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(value);
  return new Date(plain ? `${value.replace(' ', 'T')}Z` : value);
}

export function dateTime(value: string | number | Date | null | undefined): string {
  if (value == null) return '—';
  const at = moment(value);
  if (Number.isNaN(at.getTime())) return String(value);
  const options = { dateStyle: 'medium', timeStyle: 'short', timeZone: zone.value } as const;
  return new Intl.DateTimeFormat(tag(), options).format(at);
}

export function date(value: string | number | Date | null | undefined): string {
  if (value == null) return '—';
  const at = moment(value);
  if (Number.isNaN(at.getTime())) return String(value);
  const options = { dateStyle: 'medium', timeZone: zone.value } as const;
  return new Intl.DateTimeFormat(tag(), options).format(at);
}

/** The time of day, to the second. */
export function clock(value: number | Date): string {
  const parts = {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  } as const;
  return new Intl.DateTimeFormat(tag(), { ...parts, timeZone: zone.value }).format(value);
}

/** The day with its weekday. */
export function longDate(value: number | Date): string {
  const options = { dateStyle: 'full', timeZone: zone.value } as const;
  return new Intl.DateTimeFormat(tag(), options).format(value);
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

/** How long ago, roughly: “3 hours ago”. */
export function ago(value: string | number | Date, now: number = Date.now()): string {
  const seconds = Math.round((moment(value).getTime() - now) / 1000);
  const words = new Intl.RelativeTimeFormat(tag(), { numeric: 'auto' });
  const step = STEPS.find(([, size]) => Math.abs(seconds) >= size);
  return step ? words.format(Math.trunc(seconds / step[1]), step[0]) : words.format(0, 'minute');
}

const UNITS: Record<string, [string, string]> = {
  '1': ['', ''],
  '%': ['%', '%'],
  'ug/m3': ['μg/m³', 'μg/m³'],
  'mg/m3': ['mg/m³', 'mg/m³'],
  Cel: ['℃', '°C'],
  m2: ['m²', 'm²'],
  km2: ['km²', 'km²'],
  'kW.h': ['kWh', 'kWh'],
  t: ['吨', 't'],
  min: ['分钟', 'min'],
  h: ['小时', 'h'],
  d: ['天', 'days'],
  a: ['岁', 'years'],
  people: ['人', 'people'],
  households: ['户', 'households'],
  enterprises: ['家', 'enterprises'],
  items: ['件', 'items'],
};

/** A unit's sign, from its UCUM code. */
export function unit(code: string | null | undefined): string {
  if (!code) return '';
  const known = UNITS[code];
  return known ? known[language.value === 'zh' ? 0 : 1] : code;
}

/** A column's unit: its sign where there is a known one, else its name. */
export function unitOf(column: { unit?: string | null; unit_title?: Text | null }): string {
  if (column.unit && UNITS[column.unit]) return unit(column.unit);
  return text(column.unit_title) || unit(column.unit);
}

/** Several things in one line, parted as the language parts them. */
export function listed(items: readonly string[]): string {
  return items.join(language.value === 'zh' ? '、' : ', ');
}

/** A word with a note in brackets, as the language writes them. */
export function bracketed(word: string, note: string): string {
  return language.value === 'zh' ? `${word}（${note}）` : `${word} (${note})`;
}

/** What is asked for, and how. */
export function withHint(word: string, hint: string): string {
  return language.value === 'zh' ? `${word}：${hint}` : `${word}: ${hint}`;
}
