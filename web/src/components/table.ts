// What a table shows, apart from how: columns, their widths and the order of rows.
import type { Cell, Row } from '@/api/types';
import { bracketed, number } from '@/i18n/format';

export interface TableColumn {
  key: string;
  title: string;
  unit?: string;
  align?: 'left' | 'right';
  /** Width in characters; estimated from the first rows where it is left out. */
  chars?: number;
  sortable?: boolean;
  format?: (value: Cell, row: Row) => string;
  /** The code behind what is shown, where it is another. */
  code?: (value: Cell) => string | undefined;
}

export interface Sort {
  key: string;
  down: boolean;
}

const CHARS_MIN = 7;
const CHARS_MAX = 34;
const ROWS_LOOKED_AT = 60;
const PADDING_CHARS = 4;

/** Chinese characters are twice as wide as letters. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += (char.codePointAt(0) ?? 0) > 0x2e7f ? 2 : 1;
  return width;
}

export function show(value: Cell | undefined): string {
  if (value === null || value === undefined) return '—';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : number(value, 4);
  if (typeof value === 'boolean') return value ? '✓' : '✕';
  if (typeof value === 'object') return JSON.stringify(value);
  return value;
}

export function cellText(column: TableColumn, row: Row): string {
  const value = row[column.key] ?? null;
  return column.format ? column.format(value, row) : show(value);
}

/** What a cell says to who rests on it: all of it, where it is cut off, and the code behind it. */
export function cellHint(column: TableColumn, row: Row): string {
  const shown = cellText(column, row);
  const code = column.code?.(row[column.key] ?? null);
  return code ? bracketed(shown, code) : shown;
}

export function charsOf(column: TableColumn, rows: readonly Row[]): number {
  if (column.chars) return column.chars;
  const heading = displayWidth(column.title) + (column.unit ? column.unit.length + 2 : 0) + 3;
  const cells = rows.slice(0, ROWS_LOOKED_AT).map((row) => displayWidth(cellText(column, row)));
  return Math.min(CHARS_MAX, Math.max(CHARS_MIN, heading, ...cells) + PADDING_CHARS);
}

const collator = new Intl.Collator('zh-CN', { numeric: true });

function compare(a: Cell, b: Cell): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return collator.compare(String(a), String(b));
}

/** Rows in the order of one column; what is missing comes last either way. */
export function sorted(rows: readonly Row[], sort: Sort | null): readonly Row[] {
  if (!sort) return rows;
  const { key, down } = sort;
  return [...rows].sort((left, right) => {
    const a = left[key] ?? null;
    const b = right[key] ?? null;
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return down ? compare(b, a) : compare(a, b);
  });
}

/** Which rows of many are drawn: those in view and some above and below. */
export function windowOf(
  scrollTop: number,
  height: number,
  rowHeight: number,
  count: number,
  spare = 8,
): { from: number; to: number } {
  const first = Math.floor(scrollTop / rowHeight);
  const visible = Math.ceil(height / rowHeight);
  const from = Math.min(count, Math.max(0, first - spare));
  return { from, to: Math.min(count, Math.max(from, first + visible + spare)) };
}
