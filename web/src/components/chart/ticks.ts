// Where a time axis is marked: at whole hours, days and months of the city's clock, whatever zone the
// reader's machine is set to.
import { fromZone, toZone } from '@/app/zone';

export type TickUnit = 'minute' | 'hour' | 'day' | 'month';

export interface Ticks {
  unit: TickUnit;
  at: number[];
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MONTH_MS = 30 * DAY_MS;
const MARKS_MAX = 60;

const STEPS: readonly [TickUnit, number, number][] = [
  ...[1, 5, 10, 30].map((n): [TickUnit, number, number] => ['minute', n, n * MINUTE_MS]),
  ...[1, 2, 3, 6, 12].map((n): [TickUnit, number, number] => ['hour', n, n * HOUR_MS]),
  ...[1, 2, 7, 14].map((n): [TickUnit, number, number] => ['day', n, n * DAY_MS]),
  ...[1, 2, 3, 6, 12, 60].map((n): [TickUnit, number, number] => ['month', n, n * MONTH_MS]),
];

const two = (of: number): string => String(of).padStart(2, '0');

function startOf(year: number, month: number, day: number, zone: string): number {
  const plain = new Date(Date.UTC(year, month - 1, day));
  const wall = `${plain.getUTCFullYear()}-${two(plain.getUTCMonth() + 1)}-${two(plain.getUTCDate())}`;
  return fromZone(`${wall}T00:00`, zone)?.getTime() ?? plain.getTime();
}

/** About `count` marks between two moments. */
export function ticksOf(from: number, to: number, zone: string, count: number): Ticks {
  const span = Math.max(to - from, MINUTE_MS);
  const fitting = STEPS.find(([, , size]) => span / size <= Math.max(count, 1));
  const [unit, n, size] = fitting ?? (['month', 60, 60 * MONTH_MS] as const);
  const [year = 1970, month = 1, day = 1] = toZone(new Date(from), zone)
    .slice(0, 10)
    .split('-')
    .map(Number);
  const at: number[] = [];
  const keep = (moment: number): void => {
    if (moment >= from && moment <= to && at.length < MARKS_MAX) at.push(moment);
  };
  if (unit === 'month') {
    const first = year * 12 + month - 1;
    for (let whole = first - (first % n); at.length < MARKS_MAX; whole += n) {
      const moment = startOf(Math.floor(whole / 12), (whole % 12) + 1, 1, zone);
      if (moment > to) break;
      keep(moment);
    }
    return { unit, at };
  }
  const days = Math.ceil(span / DAY_MS) + 1;
  const dayStep = unit === 'day' ? n : 1;
  for (let over = 0; over <= days; over += dayStep) {
    const start = startOf(year, month, day + over, zone);
    if (unit === 'day') keep(start);
    else {
      const first = Math.max(0, Math.ceil((from - start) / size));
      const marks = Math.min(Math.ceil(DAY_MS / size), first + MARKS_MAX);
      for (let mark = first; mark < marks; mark++) keep(start + mark * size);
    }
  }
  return { unit, at };
}

/** What a mark is called: the hour, at midnight the day, in January the year. */
export function tickLabel(moment: number, unit: TickUnit, zone: string, tag: string): string {
  const wall = toZone(new Date(moment), zone);
  const say = (parts: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat(tag, { ...parts, timeZone: zone }).format(moment);
  if (unit === 'month') {
    const january = wall.slice(5, 7) === '01';
    return say(january ? { year: 'numeric', month: 'short' } : { month: 'short' });
  }
  if (unit === 'day' || wall.endsWith('T00:00')) return say({ month: 'numeric', day: 'numeric' });
  return wall.slice(11);
}
