// How often these pages ask again. Readings come in all the time: news of them are taken with a bound,
// and without news the state of a device changes by its silence alone.
import type { DatasetNews } from '@/api/events';

export const LIVE_MS = 10_000;

export const readsSensing = ({ id }: DatasetNews): boolean =>
  id === 'sensing.thing' || id === 'sensing.datastream';

export const readsReadings = ({ id }: DatasetNews): boolean => id === 'sensing.observation';
