// From the server's series to what a chart draws, in the words of the reader.
import type { Series, SeriesAnswer } from '@/api/sensing';
import type { SeriesSpec } from '@/components/chart/series';
import { moment, unit } from '@/i18n/format';
import { DOUBTS } from './flags';

type Translate = (key: string) => string;

/** As many as a wide screen has room for. */
export const POINTS = 900;

/** Each line keeps the look of its place in the order that was asked for. */
export function specOf(answer: SeriesAnswer, order: readonly number[], t: Translate): SeriesSpec {
  const place = (one: Series): number => Math.max(0, order.indexOf(Number(one.datastream)));
  return {
    from_ms: moment(answer.from).getTime(),
    to_ms: moment(answer.to).getTime(),
    lines: [...answer.series]
      .sort((a, b) => place(a) - place(b))
      .map((one) => ({
        name: one.name,
        unit: unit(one.unit),
        points: one.points,
        gaps: one.gaps,
        look: place(one),
      })),
    marks: DOUBTS.map(({ bit, id, symbol }) => ({ bit, symbol, title: t(`sensing.flag.${id}`) })),
    words: {
      gap: t('sensing.noReading'),
      readings: t('sensing.readings'),
      flagged: t('sensing.flagged'),
    },
  };
}

export interface Told {
  name: string;
  unit: string;
  last: number | null;
  min: number | null;
  max: number | null;
  flagged: number;
}

/** A line's figures in short. */
export function toldOf(line: SeriesSpec['lines'][number]): Told {
  const told: Told = {
    name: line.name,
    unit: line.unit,
    last: null,
    min: null,
    max: null,
    flagged: 0,
  };
  for (const [, min, max, mean, , flags] of line.points) {
    if (mean !== null) told.last = mean;
    if (min !== null && (told.min === null || min < told.min)) told.min = min;
    if (max !== null && (told.max === null || max > told.max)) told.max = max;
    if (flags !== 0) told.flagged += 1;
  }
  return told;
}
