// What the map shows: its layers and where it begins.
import { get } from './client';
import type { Text } from './types';

export interface MapLayer {
  id: string;
  dataset: string;
  title: Text;
  group: Text;
  geometry: 'point' | 'line' | 'polygon';
  minzoom: number;
  maxzoom: number;
  fields: { name: string; title: Text; unit: string | null; type: string }[];
  title_field: string | null;
  key: string[];
  time_field?: string | null;
  style: Record<string, unknown>;
}

export interface MapView {
  centre: [number, number];
  bounds: [number, number, number, number];
  zoom: number;
  base: MapLayer[];
  layers: MapLayer[];
}

export const mapView = (signal?: AbortSignal): Promise<MapView> => get('/api/map', { signal });
