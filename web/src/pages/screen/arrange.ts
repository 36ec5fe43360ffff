// Which tiles stand where on the wall, and what of them needs attention.
import type { Board, Tile } from '@/api/boards';
import { freshnessOfAll } from '@/components/source/freshness';
import { isClosed, readingOf } from '@/components/tile/tile';

/** How many fit in a column so that they can be read across the room. */
export const FIGURES_MAX = 4;
export const DRAWINGS_MAX = 3;
/** Rows of a table that are shown: nobody scrolls on a wall. */
export const ROWS_MAX = 6;

export interface Columns {
  left: Tile[][];
  right: Tile[][];
}

function pages(tiles: readonly Tile[], size: number): Tile[][] {
  const count = Math.max(1, Math.ceil(tiles.length / size));
  // Pages of about the same length: no page with a single tile after a full one.
  const each = Math.ceil(tiles.length / count);
  return Array.from({ length: count }, (_, at) => tiles.slice(at * each, (at + 1) * each));
}

/** Figures on the left, drawings and tables on the right; a column never stays empty. */
export function arrange(board: Board): Columns {
  const figures = board.tiles.filter((tile) => tile.kind === 'number');
  const others = board.tiles.filter((tile) => tile.kind !== 'number');
  if (others.length === 0) {
    const half = Math.ceil(figures.length / 2);
    return {
      left: pages(figures.slice(0, half), FIGURES_MAX),
      right: pages(figures.slice(half), FIGURES_MAX),
    };
  }
  if (figures.length === 0) {
    const half = Math.ceil(others.length / 2);
    return {
      left: pages(others.slice(0, half), DRAWINGS_MAX),
      right: pages(others.slice(half), DRAWINGS_MAX),
    };
  }
  return { left: pages(figures, FIGURES_MAX), right: pages(others, DRAWINGS_MAX) };
}

export interface Concern {
  kind: 'floor' | 'missed' | 'failed' | 'never' | 'stale' | 'closed';
  tile: Tile;
  value: number | null;
  lastAt: string | null;
}

/** What a board says as a whole. */
export interface Outlook {
  /** What is not as it should be, the worst first. */
  concerns: Concern[];
  /** Figures that are told. */
  told: number;
  /** Figures whose answer holds none: of these nobody knows whether they are well. */
  blank: number;
}

const WEIGHTS = { floor: 0, missed: 1, failed: 2, never: 3, stale: 4, closed: 5 } as const;

function concernsOf(tile: Tile): Concern[] {
  const reading = readingOf(tile);
  const fresh = freshnessOfAll(tile.sources);
  const base = { tile, value: reading.value, lastAt: fresh?.lastAt ?? null };
  const found: Concern[] = [];
  if (isClosed(tile)) return [{ ...base, kind: 'closed' }];
  if (tile.error) found.push({ ...base, kind: 'failed' });
  else if (tile.kind === 'number' && reading.beyondFloor) found.push({ ...base, kind: 'floor' });
  else if (tile.kind === 'number' && reading.reached === false) {
    found.push({ ...base, kind: 'missed' });
  }
  if (fresh?.stale) found.push({ ...base, kind: fresh.state === 'never' ? 'never' : 'stale' });
  return found;
}

export function outlook(board: Board): Outlook {
  const figures = board.tiles.filter((tile) => tile.kind === 'number' && !tile.error);
  const told = figures.filter((tile) => readingOf(tile).value !== null).length;
  const concerns = board.tiles.flatMap(concernsOf);
  concerns.sort((a, b) => WEIGHTS[a.kind] - WEIGHTS[b.kind]);
  return { concerns, told, blank: figures.length - told };
}

/** A tile with no more rows than can be read. */
export function short(tile: Tile): Tile {
  if (tile.kind !== 'table' || tile.rows.length <= ROWS_MAX) return tile;
  return { ...tile, rows: tile.rows.slice(0, ROWS_MAX), cut: true };
}
