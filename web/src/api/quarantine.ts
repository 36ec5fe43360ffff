// Quarantine: rows that were not taken, and what people do about them.
import { get, part, post } from './client';

export type QuarantineState = 'open' | 'repaired' | 'dismissed';

export interface QuarantineCell {
  /** The file's column: what a correction names. */
  column: string;
  /** The field that it fills. */
  field: string | null;
  text: string;
}

export interface QuarantineRow {
  id: string;
  dataset: string;
  owner: string;
  file: string;
  line: number;
  field: string | null;
  reason: string;
  message: string;
  /** The record as the file has it. */
  raw: string;
  state: QuarantineState;
  remark: string | null;
  handled_by: string;
  handled_at: string;
  /** Empty where the record cannot be cut, and has to be mended in its file. */
  cells: QuarantineCell[];
}

export interface QuarantineList {
  rows: QuarantineRow[];
  total: number;
}

export interface QuarantineQuery {
  dataset?: string;
  state?: QuarantineState;
  limit?: number;
  offset?: number;
}

export const QUARANTINE_PAGE_MAX = 200;

export const quarantine = (query: QuarantineQuery, signal?: AbortSignal): Promise<QuarantineList> =>
  get('/api/quarantine', { query: { ...query }, signal });
export const repairRow = (id: string, corrections: Record<string, string>): Promise<void> =>
  post(`/api/quarantine/${part(id)}/repair`, { corrections });
export const dismissRow = (id: string, reason: string): Promise<void> =>
  post(`/api/quarantine/${part(id)}/dismiss`, { reason });
