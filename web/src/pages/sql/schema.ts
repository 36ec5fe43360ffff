// The tables and columns that one may ask about, for the list beside the editor and for completion.
import { query } from '@/api/sql';

export interface TableInfo {
  id: string;
  columns: { name: string; type: string }[];
}

const STATEMENT = `SELECT table_schema, table_name, column_name, data_type
FROM information_schema.columns
ORDER BY table_schema, table_name, ordinal_position`;

const SYSTEM = new Set(['information_schema', 'pg_catalog']);

export async function loadTables(signal: AbortSignal): Promise<TableInfo[]> {
  const answer = await query({ sql: STATEMENT }, signal);
  const tables = new Map<string, TableInfo>();
  for (const row of answer.rows) {
    if (SYSTEM.has(String(row.table_schema))) continue;
    const id = `${row.table_schema}.${row.table_name}`;
    const table = tables.get(id) ?? { id, columns: [] };
    table.columns.push({ name: String(row.column_name), type: String(row.data_type) });
    tables.set(id, table);
  }
  return [...tables.values()];
}

/** Tables whose name, title or fields have the words. */
export function findTables(
  tables: readonly TableInfo[],
  words: string,
  titleOf: (id: string) => string,
): TableInfo[] {
  const wanted = words.trim().toLowerCase();
  if (wanted === '') return [...tables];
  return tables.filter(
    (table) =>
      table.id.includes(wanted) ||
      titleOf(table.id).toLowerCase().includes(wanted) ||
      table.columns.some((column) => column.name.toLowerCase().includes(wanted)),
  );
}
