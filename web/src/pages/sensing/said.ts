// Lengths of time and shares as these pages say them.
import { number, percent } from '@/i18n/format';

type Translate = (key: string, values: Record<string, unknown>) => string;

const UNITS: readonly [string, number][] = [
  ['days', 86_400],
  ['hours', 3_600],
  ['minutes', 60],
];

/** A length of time in the largest unit that divides it well: “5 minutes”. */
export function span(seconds: number, t: Translate): string {
  const unit = UNITS.find(
    ([, size]) => seconds >= size && (seconds >= 2 * size || seconds === size),
  );
  return unit
    ? t(`sensing.span.${unit[0]}`, { count: number(seconds / unit[1], 1) })
    : t('sensing.span.seconds', { count: number(seconds, 1) });
}

/** Milliseconds, or seconds where there are many. */
export function lag(ms: number | null | undefined): string {
  if (ms == null) return '—';
  return ms < 10_000 ? `${number(ms, 0)} ms` : `${number(ms / 1000, 1)} s`;
}

export const share = (of: number | null | undefined): string => (of == null ? '—' : percent(of));

/** Days from today to a date: negative where it has passed. */
export function daysTo(date: string, now: number): number {
  return Math.ceil((new Date(date).getTime() - now) / 86_400_000);
}
