// What a tile says, read from the answer of its statement.
import type { Tile } from '@/api/boards';
import type { Column, Row } from '@/api/types';
import { type ChartSpec, isNumeric, SERIES_MAX, specOf } from '../chart/spec';
import { labelled, titleOf } from '../columns';

export interface Reading {
  /** The figure itself; null where the answer has none. */
  value: number | null;
  column: Column | null;
  /** Other columns of the row, as small print. */
  others: { column: Column; value: Row[string] }[];
  /** Target or floor, and how far the figure is from it. */
  target: number | null;
  gap: number | null;
  /** Whether the target is reached; null where there is none, or no word on which way is good. */
  reached: boolean | null;
  floor: number | null;
  /** Worse than what must not be fallen short of. */
  beyondFloor: boolean;
}

function reaches(value: number, mark: number, better: Tile['better']): boolean {
  return better === 'lower' ? value <= mark : value >= mark;
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
    column: column ?? null,
    others,
    target,
    gap: value !== null && target !== null ? value - target : null,
    reached:
      value !== null && target !== null && tile.better ? reaches(value, target, tile.better) : null,
    floor,
    beyondFloor:
      value !== null && floor !== null && !reaches(value, floor, tile.better ?? 'higher'),
  };
}

/** Whether the reader may not see what it is made from, which is no failure. */
export function isClosed(tile: Tile): boolean {
  return tile.error != null && ['not_found', 'refused'].includes(tile.error.code);
}

/** Lines and bars: the first column against the others; a column of names makes a series each. */
export function chartOf(tile: Tile): ChartSpec | null {
  if (tile.rows.length === 0 || (tile.kind !== 'line' && tile.kind !== 'bar')) return null;
  const [x, ...others] = tile.columns;
  const figures = others.filter((column) => isNumeric(column, tile.rows));
  if (!x || figures.length === 0) return null;
  const by = others.find((column) => !figures.includes(column));
  const y = figures.slice(0, by ? 1 : SERIES_MAX).map((column) => column.name);
  const choice = { kind: tile.kind, x: x.name, y, by: by?.name ?? null };
  const spec = specOf(choice, tile.columns, tile.rows, titleOf, labelled);
  return { ...spec, target: tile.target ?? null, floor: tile.floor ?? null };
}
