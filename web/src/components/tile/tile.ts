// What a tile says, read from the answer of its statement.
import type { Tile } from '@/api/boards';
import type { Column, Row } from '@/api/types';
import { choose, type ChartSpec, isNumeric, specOf } from '../chart/spec';

export interface Reading {
  /** The figure itself; null where the answer has none. */
  value: number | null;
  /** Other columns of the row, as small print. */
  others: { column: Column; value: Row[string] }[];
  /** Target or floor, and how far the figure is from it. */
  target: number | null;
  gap: number | null;
  floor: number | null;
  belowFloor: boolean;
}

/** The first figure of the first row. */
export function readingOf(tile: Tile): Reading {
  const row = tile.rows[0];
  const column = tile.columns.find((one) => isNumeric(one, tile.rows));
  const raw = row && column ? row[column.name] : null;
  const value = typeof raw === 'number' ? raw : null;
  const others = row
    ? tile.columns
        .filter((one) => one !== column && row[one.name] != null)
        .map((one) => ({ column: one, value: row[one.name] ?? null }))
    : [];
  const target = tile.target ?? null;
  const floor = tile.floor ?? null;
  return {
    value,
    others,
    target,
    gap: value !== null && target !== null ? value - target : null,
    floor,
    belowFloor: value !== null && floor !== null && value < floor,
  };
}

export function chartOf(tile: Tile, titleOf: (column: Column) => string): ChartSpec | null {
  const choice = choose(tile.columns, tile.rows);
  if (!choice || (tile.kind !== 'line' && tile.kind !== 'bar')) return null;
  // One series per tile where a second column only names the group.
  const spec = specOf({ ...choice, kind: tile.kind }, tile.columns, tile.rows, titleOf);
  return { ...spec, target: tile.target ?? null, floor: tile.floor ?? null };
}

/** The oldest of the sources decides how fresh a tile is. */
export function freshnessOf(tile: Tile): { lastAt: string | null; stale: boolean } | null {
  const known = tile.sources.map((source) => source.freshness).filter((one) => one != null);
  if (known.length === 0) return null;
  const times = known.map((one) => one.last_at).filter((time): time is string => time !== null);
  times.sort();
  return { lastAt: times[0] ?? null, stale: known.some((one) => one.stale) };
}
