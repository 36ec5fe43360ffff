// How often these pages ask again. Readings come in all the time, so that news of them would be no
// news, and a device falls silent without any: states and readings are asked for by the clock.
import type { DatasetNews } from '@/api/events';

export const LIVE_MS = 10_000;

export const readsSensing = ({ id }: DatasetNews): boolean =>
  id === 'sensing.thing' || id === 'sensing.datastream';

/** A chart of a month does not change by what came in the last seconds. */
export const LONG_MS = 60_000;
