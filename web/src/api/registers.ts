// Registers: rows that people keep, each with its versions; and files taken into a dataset.
import { get, part, post, put, remove, upload, type Upload } from './client';
import type { Cell, List, Row, Text } from './types';

export interface RegisterField {
  name: string;
  title: Text;
  description?: Text | null;
  unit: string | null;
  type: string;
  class?: string | null;
  required: boolean;
  codes: string[];
  /** What the codes are called. */
  labels?: Record<string, Text>;
  masked: boolean;
}

export interface Register {
  dataset: string;
  title: Text;
  description?: Text | null;
  owner: string;
  count: number;
  editable: boolean;
  key: string[];
  fields: RegisterField[];
}

export interface RegisterRow {
  /** Null where a part of the key is not for the reader to see. */
  key: string | null;
  version: number | null;
  values: Row;
}

export interface RowChange {
  version: number;
  at: string;
  by: string;
  reason: string;
  kind: 'created' | 'changed' | 'deleted';
  changes: { field: string; from: Cell; to: Cell }[];
}

export interface ObjectField {
  name: string;
  title: Text;
  unit: string | null;
  type: string;
  value: Cell;
  labels?: Record<string, Text>;
  masked: boolean;
  class?: string | null;
}

export interface ObjectView {
  dataset: string;
  title: Text;
  key: string;
  name: string;
  fields: ObjectField[];
  geometry: Geometry | null;
  version: number | null;
  editable: boolean;
  history: RowChange[];
  links: { title: Text; dataset: string; key: string; name: string }[];
}

export interface Geometry {
  type: string;
  coordinates?: unknown;
}

export interface RowsQuery {
  q?: string;
  area?: string | null;
  sort?: string;
  limit?: number;
  offset?: number;
}

export interface Written {
  key: string;
  version: number;
}

export type Fields = Record<string, Cell>;

const rowsOf = (dataset: string): string => `/api/registers/${part(dataset)}/rows`;
const rowOf = (dataset: string, key: string): string => `${rowsOf(dataset)}/${part(key)}`;

export const registers = (signal?: AbortSignal): Promise<List<Register>> =>
  get('/api/registers', { signal });
export const registerRows = (
  dataset: string,
  query: RowsQuery,
  signal?: AbortSignal,
): Promise<List<RegisterRow>> => get(rowsOf(dataset), { query: { ...query }, signal });
export const rowHistory = (
  dataset: string,
  key: string,
  signal?: AbortSignal,
): Promise<List<RowChange>> => get(`${rowOf(dataset, key)}/history`, { signal });
export const createRow = (dataset: string, fields: Fields, reason: string): Promise<Written> =>
  post(rowsOf(dataset), { fields, reason });
export const changeRow = (
  dataset: string,
  key: string,
  change: { fields: Fields; reason: string; version: number },
): Promise<Written> => put(rowOf(dataset, key), change);
export const closeRow = (
  dataset: string,
  key: string,
  end: { reason: string; version: number },
): Promise<void> => remove(rowOf(dataset, key), { body: end });

export const objectOf = (
  dataset: string,
  key: string,
  as_of?: string | null,
  signal?: AbortSignal,
): Promise<ObjectView> =>
  get(`/api/objects/${part(dataset)}/${part(key)}`, { query: { as_of }, signal });

export interface Imported {
  dataset: string;
  file: string;
  rows_taken: number;
  /** Told apart where the server tells them apart. */
  rows_new?: number;
  rows_changed?: number;
  rows_unchanged: number;
  rows_quarantined: number;
  drift: string[];
  reasons: [string, number][];
  seconds: number;
  quality: { passed: boolean; failed: [string, number][] } | null;
}

export interface ImportOptions {
  encoding?: string;
  crs?: string;
  null?: string;
  separator?: string;
  sheet?: string;
}

/** Takes a file into a dataset that one answers for. */
export const importFile = (
  dataset: string,
  file: File,
  options: ImportOptions,
  upstream: Pick<Upload, 'signal' | 'onSent'>,
): Promise<Imported> =>
  upload(`/api/datasets/${part(dataset)}/import`, file, {
    query: { file: file.name, ...options },
    ...upstream,
  });
