// Which tiles stand where on the wall, and what of them needs attention.
import type { Board, Tile } from '@/api/boards';
import { freshnessOfAll } from '@/components/source/freshness';
import { readingOf } from '@/components/tile/tile';

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
  kind: 'floor' | 'missed' | 'failed' | 'never' | 'stale';
  tile: Tile;
  value: number | null;
  lastAt: string | null;
}

const WEIGHTS = { floor: 0, missed: 1, failed: 2, never: 3, stale: 4 } as const;

/** What on a board is not as it should be, the worst first. */
export function concerns(board: Board): Concern[] {
  const found: Concern[] = [];
  for (const tile of board.tiles) {
    const reading = readingOf(tile);
    const fresh = freshnessOfAll(tile.sources);
    const base = { tile, value: reading.value, lastAt: fresh?.lastAt ?? null };
    if (tile.error) found.push({ ...base, kind: 'failed' });
    else if (tile.kind === 'number' && reading.beyondFloor) found.push({ ...base, kind: 'floor' });
    else if (tile.kind === 'number' && reading.reached === false) {
      found.push({ ...base, kind: 'missed' });
    }
    if (fresh?.stale) found.push({ ...base, kind: fresh.state === 'never' ? 'never' : 'stale' });
  }
  return found.sort((a, b) => WEIGHTS[a.kind] - WEIGHTS[b.kind]);
}

/** A tile with no more rows than can be read. */
export function short(tile: Tile): Tile {
  if (tile.kind !== 'table' || tile.rows.length <= ROWS_MAX) return tile;
  return { ...tile, rows: tile.rows.slice(0, ROWS_MAX), cut: true };
}
