// The map as the reader may see it, one object, and outlines of areas.
import type { Feature, FeatureCollection, Geometry } from 'geojson';
import { get, part } from './client';
import type { Box } from './areas';
import type { Cell, Text } from './types';

/** A value of the class field: what it is called, and how it is drawn. */
export interface LayerClass {
  value: string;
  title?: Text;
  colour?: string;
  icon?: string;
}

/** From the pack's `map.toml`. */
export interface LayerStyle {
  kind?: 'fill' | 'line' | 'circle' | 'label';
  colour?: string;
  /** The field whose values are the classes; the first class matters most. */
  class?: string;
  classes?: LayerClass[];
  shape?: 'circle' | 'square' | 'diamond' | 'hexagon' | 'triangle';
  /** On the map without being asked for. */
  shown?: boolean;
}

export interface LayerField {
  name: string;
  title: Text;
  unit?: string | null;
  type: string;
  /** What its codes are called. */
  labels?: Record<string, Text>;
  masked?: boolean;
}

export interface MapLayer {
  id: string;
  dataset: string;
  title: Text;
  group: Text;
  geometry: 'point' | 'line' | 'polygon';
  minzoom: number;
  maxzoom: number;
  fields: LayerField[];
  title_field?: string | null;
  title_field_en?: string | null;
  key: string[];
  time_field?: string | null;
  style: LayerStyle;
}

export interface MapView {
  centre: [number, number];
  bounds: Box;
  zoom: number;
  base: MapLayer[];
  layers: MapLayer[];
}

export interface ObjectField {
  name: string;
  title: Text;
  unit?: string | null;
  type: string;
  value: Cell;
  /** What the codes of its field are called. */
  labels?: Record<string, Text>;
  masked: boolean;
  class?: string | null;
}

export interface ObjectChange {
  version: number;
  at: string;
  by: string;
  reason: string;
  kind: string;
  changes: { field: string; from: Cell; to: Cell }[];
}

export interface CityObject {
  dataset: string;
  title: Text;
  key: string;
  name: Text | string;
  fields: ObjectField[];
  geometry: Geometry | null;
  editable: boolean;
  history: ObjectChange[];
  links: { title: Text; dataset: string; key: string; name?: string }[];
}

export const mapView = (signal?: AbortSignal): Promise<MapView> => get('/api/map', { signal });

export const cityObject = (
  dataset: string,
  key: string,
  at: string | null,
  signal?: AbortSignal,
): Promise<CityObject> =>
  get(`/api/objects/${part(dataset)}/${part(key)}`, { query: { as_of: at }, signal });

/** The key of an object as one text: its fields' values, each percent-encoded, joined by `~`. */
export function joinKey(values: readonly unknown[]): string {
  return values.map((value) => part(String(value))).join('~');
}

const OUTLINES_MAX = 400;
const GEOJSON = 'application/geo+json';

export const outline = (dataset: string, key: string, signal?: AbortSignal): Promise<Feature> =>
  get(`/ogc/collections/${part(dataset)}/items/${part(key)}`, { accept: GEOJSON, signal });

/** Outlines of the areas that have `parent` as their value of `field`. */
export const outlines = (
  dataset: string,
  field: string,
  parent: string,
  signal?: AbortSignal,
): Promise<FeatureCollection> =>
  get(`/ogc/collections/${part(dataset)}/items`, {
    query: { [field]: parent, limit: OUTLINES_MAX },
    accept: GEOJSON,
    signal,
  });
