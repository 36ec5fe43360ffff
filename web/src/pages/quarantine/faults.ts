// Quarantined rows by what is wrong with them: those of one fault are mended alike.
import type { QuarantineCell, QuarantineRow } from '@/api/quarantine';
import type { Text } from '@/api/types';
import { readRefusal } from '@/components/refusal/refusal';

export interface Fault {
  id: string;
  dataset: string;
  file: string;
  /** Fields at fault; empty where it is the record. */
  fields: string[];
  reason: string;
  rows: QuarantineRow[];
}

/** The fields that a row's refusal is about. */
export function wrongFields(row: QuarantineRow): string[] {
  if (row.field) return [row.field];
  const fields = row.cells.flatMap((cell) => (cell.field ? [cell.field] : []));
  return readRefusal(row.message, { fields, rules: new Map<string, Text>() }).fields;
}

/** The cells that fill those fields. */
export function wrongCells(row: QuarantineRow): QuarantineCell[] {
  const fields = wrongFields(row);
  return row.cells.filter((cell) => cell.field !== null && fields.includes(cell.field));
}

/** Rows of one dataset, one file and one reason together; the most frequent first. */
export function faultsOf(rows: readonly QuarantineRow[]): Fault[] {
  const faults = new Map<string, Fault>();
  for (const row of rows) {
    const { dataset, file, reason } = row;
    const id = JSON.stringify([dataset, file, reason, row.field]);
    const known = faults.get(id);
    if (known) known.rows.push(row);
    else faults.set(id, { id, dataset, file, reason, fields: wrongFields(row), rows: [row] });
  }
  return [...faults.values()].sort((a, b) => b.rows.length - a.rows.length);
}

export interface Wrong {
  text: string;
  rows: QuarantineRow[];
}

/** The one column that is at fault in all rows; null where there is no one such column. */
export function commonColumn(rows: readonly QuarantineRow[]): string | null {
  const columns = rows.map((row) => {
    const cells = wrongCells(row);
    return cells.length === 1 ? (cells[0]?.column ?? null) : null;
  });
  const [first] = columns;
  return first != null && columns.every((column) => column === first) ? first : null;
}

/** What the rows say in a column, the most frequent text first. */
export function textsIn(rows: readonly QuarantineRow[], column: string): Wrong[] {
  const texts = new Map<string, QuarantineRow[]>();
  for (const row of rows) {
    const text = row.cells.find((cell) => cell.column === column)?.text ?? '';
    texts.set(text, [...(texts.get(text) ?? []), row]);
  }
  return [...texts]
    .map(([text, of]) => ({ text, rows: of }))
    .sort((a, b) => b.rows.length - a.rows.length);
}

export interface Batch {
  planned: number;
  taken: number;
  /** Tried, and still not fitting. */
  left: number;
}

/** How repairing many rows ended: all of them taken, some not fitting, or stopped before the end. */
export function endOf({ planned, taken, left }: Batch): 'all' | 'some' | 'stopped' {
  if (taken + left < planned) return 'stopped';
  return left === 0 ? 'all' : 'some';
}

/** A record cut at the one place where the wrong text stands; null where there is no one place. */
export function markedIn(raw: string, wrong: string): [string, string, string] | null {
  if (wrong.trim() === '') return null;
  const [before, after, more] = raw.split(wrong);
  if (before === undefined || after === undefined || more !== undefined) return null;
  return [before, wrong, after];
}
