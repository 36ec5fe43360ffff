// The quarantine as the page wants it: the rows of a dataset, up to a bound, and how many rows each
// source has.
import { quarantine, QUARANTINE_PAGE_MAX } from '@/api/quarantine';
import type { QuarantineRow, QuarantineState } from '@/api/quarantine';
import { query } from '@/api/sql';

export const ROWS_MAX = 1_000;

export interface Waiting {
  rows: QuarantineRow[];
  total: number;
}

export async function waiting(
  dataset: string | undefined,
  state: QuarantineState,
  signal: AbortSignal,
): Promise<Waiting> {
  const rows: QuarantineRow[] = [];
  let total = 0;
  while (rows.length < ROWS_MAX) {
    const page = await quarantine(
      {
        state,
        limit: QUARANTINE_PAGE_MAX,
        offset: rows.length,
        ...(dataset ? { dataset } : {}),
      },
      signal,
    );
    rows.push(...page.rows);
    total = page.total;
    if (page.rows.length < QUARANTINE_PAGE_MAX || rows.length >= total) break;
  }
  return { rows, total };
}

export interface Source {
  dataset: string;
  file: string;
  rows: number;
}

/** The statement that counts the rows of each source. */
export function sourcesSql(state: QuarantineState): string {
  return (
    `SELECT dataset, file, count(*) AS rows\nFROM system.quarantine\n` +
    `WHERE state = '${state}'\nGROUP BY dataset, file\nORDER BY dataset, file`
  );
}

export async function sources(state: QuarantineState, signal: AbortSignal): Promise<Source[]> {
  const answer = await query({ sql: sourcesSql(state) }, signal);
  return answer.rows.map((row) => ({
    dataset: String(row.dataset),
    file: String(row.file),
    rows: Number(row.rows),
  }));
}

/** The same from the rows at hand, for who may not ask in SQL. */
export function sourcesIn(rows: readonly QuarantineRow[]): Source[] {
  const counts = new Map<string, Source>();
  for (const { dataset, file } of rows) {
    const key = JSON.stringify([dataset, file]);
    const known = counts.get(key) ?? { dataset, file, rows: 0 };
    counts.set(key, { ...known, rows: known.rows + 1 });
  }
  return [...counts.values()];
}
