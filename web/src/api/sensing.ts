// Sensing: the census of devices, one device, its readings as a chart wants them, findings, coverage
// of key areas and the health of ingest.
import type { FeatureCollection, Geometry } from 'geojson';
import { get, part } from './client';
import type { Box } from './areas';
import type { Text } from './types';

export type DeviceState = 'registered' | 'connected' | 'reporting' | 'silent' | 'retired';

/** Shares are from 0 to 1; null where nothing can be told. */
export interface Counts {
  devices: number;
  registered: number;
  connected: number;
  reporting: number;
  silent: number;
  retired: number;
  connected_share: number | null;
  valid_share: number | null;
  uptime_share: number | null;
  maintenance_due: number;
}

export type CensusBy = 'department' | 'area' | 'kind';

export interface CensusRow extends Counts {
  key: string;
  title: Text;
}

export interface Census {
  at: string;
  /** False while the newest readings are being looked up after a start: counts are too low. */
  whole: boolean;
  total: Counts;
  rows: CensusRow[];
}

export interface Device {
  thing: number;
  name: string;
  kind: string | null;
  owner: string | null;
  sharing?: string | null;
  area_code: string | null;
  network?: string | null;
  gateway?: number | null;
  state: DeviceState;
  since: string | null;
  datastreams?: number;
  newest_at: string | null;
  period_s: number | null;
  uptime_share: number | null;
  valid_share: number | null;
  battery_percent: number | null;
  maintenance_due: string | null;
  geometry: [number, number] | null;
}

export interface DeviceList {
  total: number;
  devices: Device[];
  /** What to give as `after` for the next ones. */
  next: string | number | null;
}

export interface DeviceFilter {
  area?: string | null;
  department?: string | null;
  kind?: string | null;
  state?: string | null;
  q?: string | null;
}

export interface Stream {
  id: number;
  name: string;
  unit: string | null;
  observed_property: string | null;
  state: DeviceState;
  period_s: number | null;
  newest_at: string | null;
  result: number | null;
  flags: number | null;
  count: number;
  flagged: number;
}

export interface DevicePage {
  device: Device;
  description: string | null;
  properties: Record<string, unknown> | null;
  location: Geometry | null;
  datastreams: Stream[];
  history: {
    at: string;
    version: number;
    by: string | null;
    reason: string | null;
    kind?: string;
  }[];
  places: { since: string | null; name?: string | null; location: Geometry | null }[];
  visible_to: Text[];
  gateway: { thing: number; name: string } | null;
}

/** Time in ms, least, most and mean of the good readings, how many, and the flags of all. */
export type Point = [
  t_ms: number,
  min: number | null,
  max: number | null,
  mean: number | null,
  n: number,
  flags: number,
];

export interface Series {
  datastream: number;
  /** Its device. */
  thing?: number;
  name: string;
  unit: string | null;
  /** The width of a bucket; 0 or left out where each reading is a point of its own. */
  step_ms: number | null;
  raw: boolean;
  points: Point[];
  gaps: [from_ms: number, to_ms: number][];
}

export interface SeriesAnswer {
  from: string | number;
  to: string | number;
  series: Series[];
}

export interface Finding {
  kind: 'network' | 'gateway' | 'device';
  key: string;
  title: Text | string;
  devices: number;
  since: string | null;
  owner: string | null;
  area_code: string | null;
  sample: Device[];
}

export interface Findings {
  at: string;
  findings: Finding[];
}

export interface KeyArea {
  id: string;
  title: Text;
  area_km2: number;
  population: number | null;
  covered_km2: number;
  covered_share: number | null;
  covered_population: number | null;
  population_share: number | null;
}

export interface Coverage {
  kind: string;
  range_m: number | null;
  areas: KeyArea[];
  blind: FeatureCollection | null;
  devices: [lon: number, lat: number, state: DeviceState][];
  /** There are more devices than are listed. */
  cut?: boolean;
}

export interface NextPlace {
  lon: number;
  lat: number;
  gain_population: number | null;
  gain_km2: number;
  /** The share that is covered once this one stands too. */
  total_share: number | null;
}

export interface NextPlaces {
  kind: string;
  chosen: NextPlace[];
  /** What is covered today. */
  covered_share?: number | null;
  /** No other so many places, of those weighed, cover a larger share. */
  bound_share: number | null;
  /** Places that were weighed. */
  candidates?: number;
}

export interface Cluster {
  lon: number;
  lat: number;
  n: number;
  states: Partial<Record<DeviceState, number>>;
}

/** What of a device a map needs. */
export type DeviceBrief = Pick<Device, 'thing' | 'name' | 'state'> &
  Partial<Device> &
  Partial<{ lon: number; lat: number }>;

export interface SensorMap {
  clusters: Cluster[];
  devices: DeviceBrief[];
}

export interface Producer {
  producer: string;
  face: string;
  owner: string | null;
  since: string | null;
  last_at: string | null;
  rows: number;
  refused: number;
  flagged: number;
  duplicates: number | null;
  /** Null where its producer numbers nothing, so that nobody can tell. */
  lost: number | null;
  /** Null where nothing is known of the last minute. */
  rate_per_s: number | null;
  lag_p50_ms: number | null;
  lag_p99_ms: number | null;
}

export interface Ingest {
  at: string;
  rate_per_s: number;
  rows_minute: number;
  flagged_minute: number;
  refused_minute: number;
  producers: Producer[];
}

const ROOT = '/api/sensing';

export const census = (by: CensusBy, area: string | null, signal?: AbortSignal): Promise<Census> =>
  get(`${ROOT}/census`, { query: { by, area }, signal });

export const devices = (
  filter: DeviceFilter,
  limit: number,
  after: string | number | null,
  signal?: AbortSignal,
): Promise<DeviceList> => get(`${ROOT}/devices`, { query: { ...filter, limit, after }, signal });

export const device = (thing: string, signal?: AbortSignal): Promise<DevicePage> =>
  get(`${ROOT}/devices/${part(thing)}`, { signal });

export const series = (
  datastreams: readonly (string | number)[],
  from: Date,
  to: Date,
  points: number,
  signal?: AbortSignal,
): Promise<SeriesAnswer> =>
  get(`${ROOT}/series`, {
    query: {
      datastream: datastreams.join(','),
      from: from.toISOString(),
      to: to.toISOString(),
      points,
    },
    signal,
  });

export const findings = (signal?: AbortSignal): Promise<Findings> =>
  get(`${ROOT}/findings`, { signal });

export const coverage = (kind: string, signal?: AbortSignal): Promise<Coverage> =>
  get(`${ROOT}/coverage`, { query: { kind }, signal });

export const nextPlaces = (kind: string, k: number, signal?: AbortSignal): Promise<NextPlaces> =>
  get(`${ROOT}/coverage/next`, { query: { kind, k }, signal });

export const sensorMap = (
  box: Box,
  zoom: number,
  filter: { kind?: string | null; department?: string | null },
  signal?: AbortSignal,
): Promise<SensorMap> => {
  const bbox = box.map((degrees) => degrees.toFixed(5)).join(',');
  return get(`${ROOT}/map`, { query: { bbox, zoom: Math.floor(zoom), ...filter }, signal });
};

export const ingest = (signal?: AbortSignal): Promise<Ingest> => get(`${ROOT}/ingest`, { signal });
