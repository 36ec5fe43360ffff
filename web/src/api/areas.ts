// Areas of the city, and the search over places, objects and datasets.
import { get } from './client';
import type { Text } from './types';

export type Box = [number, number, number, number];

export interface Area {
  code: string;
  level: string;
  name: Text;
  parent: string | null;
  bbox?: Box | null;
  people?: number | null;
  households?: number | null;
  children: number;
}

export interface AreaPlace {
  code: string;
  name: Text;
  level: string;
}

export interface AreaList {
  items: Area[];
  path?: AreaPlace[];
}

export interface Found {
  places: { code: string; name: Text; level: string; bbox?: Box | null }[];
  objects: {
    dataset: string;
    /** Null where the key is not seen: such an object has no page. */
    key: string | null;
    title: Text | string;
    point?: [number, number] | null;
  }[];
  datasets: { id: string; title: Text }[];
}

export const topAreas = (signal?: AbortSignal): Promise<AreaList> => get('/api/areas', { signal });
export const areasBelow = (parent: string, signal?: AbortSignal): Promise<AreaList> =>
  get('/api/areas', { query: { parent }, signal });
export const area = (code: string, signal?: AbortSignal): Promise<AreaList> =>
  get('/api/areas', { query: { code }, signal });
export const searchAll = (q: string, signal?: AbortSignal): Promise<Found> =>
  get('/api/search', { query: { q }, signal });
