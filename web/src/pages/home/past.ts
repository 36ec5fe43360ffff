// A board as it would have been answered at a moment in the past. The server answers boards as of
// now; each tile's statement can be asked again as of any moment.
import type { Board, Tile } from '@/api/boards';
import { asProblem } from '@/api/problem';
import { query } from '@/api/sql';

const AT_ONCE = 4;
const ROWS_MAX = 1_000;

async function tileAt(tile: Tile, moment: string, signal: AbortSignal): Promise<Tile> {
  // How fresh the sources are now says nothing about then.
  const sources = tile.sources.map((source) => ({ ...source, freshness: null }));
  try {
    const answer = await query({ sql: tile.sql, as_of: moment }, signal);
    const rows = answer.rows.slice(0, ROWS_MAX);
    const known = new Map(tile.columns.map((column) => [column.name, column]));
    const columns = answer.columns.map((column) => known.get(column.name) ?? column);
    return { ...tile, sources, columns, rows, cut: rows.length < answer.rows.length, error: null };
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const problem = asProblem(thrown);
    const error = {
      code: problem.code,
      title: problem.message,
      ...(problem.correlation ? { correlation_id: problem.correlation } : {}),
    };
    return { ...tile, sources, rows: [], error };
  }
}

export async function boardAt(board: Board, moment: string, signal: AbortSignal): Promise<Board> {
  const tiles = [...board.tiles];
  let next = 0;
  async function worker(): Promise<void> {
    for (let at = next++; at < board.tiles.length; at = next++) {
      const tile = board.tiles[at];
      if (tile) tiles[at] = await tileAt(tile, moment, signal);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { ...board, tiles };
}
