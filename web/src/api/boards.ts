// Boards: tiles of figures, each with the SQL it comes from.
import { get, part } from './client';
import type { Column, List, Row, Text } from './types';

export interface Source {
  dataset: string;
  title: Text;
  freshness?: {
    last_at: string | null;
    /** `unlimited`: nothing is promised. An older server leaves the word out. */
    state?: 'fresh' | 'late' | 'never' | 'unlimited';
    /** Not as new as is promised. */
    stale: boolean;
  } | null;
}

export type TileKind = 'number' | 'line' | 'bar' | 'table';

export interface Tile {
  id: string;
  title: Text;
  /** What the figure means and what to do about it. */
  note?: Text;
  kind: TileKind;
  unit?: string | Text | null;
  /** Quarters of the board's width. */
  width?: number;
  /** Whether it can be asked about one area. */
  by_area?: boolean;
  sql: string;
  columns: Column[];
  rows: Row[];
  /** There were more rows. */
  cut?: boolean;
  sources: Source[];
  target?: number | null;
  floor?: number | null;
  /** Which way is good. */
  better?: 'higher' | 'lower' | null;
  /** Why there is no answer. */
  error?: { code: string; title: string; correlation_id?: string } | null;
}

export interface BoardItem {
  id: string;
  title: Text;
  description?: Text;
  roles: string[];
  home_for: string[];
}

export interface Board {
  id: string;
  title: Text;
  description?: Text;
  tiles: Tile[];
}

export const boards = (signal?: AbortSignal): Promise<List<BoardItem>> =>
  get('/api/boards', { signal });
export const board = (id: string, area: string | null, signal?: AbortSignal): Promise<Board> =>
  get(`/api/boards/${part(id)}`, { query: { area }, signal });
