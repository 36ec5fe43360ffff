// Small things that several parts of the dataset's page say.
import { number } from '@/i18n/format';

const HOUR = 60;
const DAY = 24 * HOUR;

type Translate = (key: string, values: Record<string, unknown>) => string;

/** Minutes in the largest unit that fits. */
export function duration(minutes: number, t: Translate): string {
  if (minutes >= 2 * DAY) return t('dataset.days', { count: number(minutes / DAY, 0) });
  if (minutes >= 2 * HOUR) return t('dataset.hours', { count: number(minutes / HOUR, 0) });
  return t('dataset.minutes', { count: number(minutes, 0) });
}

/** A dataset as SQL names it: in quotes where its name is no plain word. */
export function tableName(id: string): string {
  return id
    .split('.')
    .map((part) => (/^[a-z_][a-z0-9_]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`))
    .join('.');
}
