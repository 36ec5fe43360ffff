// Sizes of files as people say them.
import { number } from '@/i18n/format';

const STEP = 1024;
const UNITS = ['B', 'KB', 'MB', 'GB'] as const;

export function fileSize(bytes: number): string {
  const step = Math.floor(Math.log(Math.max(bytes, 1)) / Math.log(STEP));
  const power = Math.min(step, UNITS.length - 1);
  return `${number(bytes / STEP ** power, power === 0 ? 0 : 1)} ${UNITS[power]}`;
}
