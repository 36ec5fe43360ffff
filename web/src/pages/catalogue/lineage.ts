// Who uses a dataset: the boards and saved queries that the reader may see, traced column by column
// with the reader's own rights.
import { board, boards, type BoardItem, type Tile } from '@/api/boards';
import type { DatasetPage } from '@/api/catalogue';
import { asProblem } from '@/api/problem';
import { lineage, savedQueries, type Lineage } from '@/api/sql';
import type { FlowBox, FlowEdge } from '@/components/flow/layout';
import { text } from '@/i18n';

export interface Statement {
  id: string;
  title: string;
  /** The board it is on. */
  place?: string;
  kind: 'board' | 'query';
  sql: string;
}

export interface Use {
  statement: Statement;
  lineage: Lineage;
}

const BOARDS_MAX = 12;
const STATEMENTS_MAX = 60;
const AT_ONCE = 4;

/** What the reader has no part in is no gap in what they are told. */
function closed(thrown: unknown): boolean {
  return [403, 404].includes(asProblem(thrown).status);
}

/** An answer, or `otherwise` where the reader may not have it; a failure stays one. */
async function orElse<T>(asked: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await asked;
  } catch (thrown) {
    if (closed(thrown)) return otherwise;
    throw thrown;
  }
}

export interface Found {
  statements: Statement[];
  /** Boards that were not looked at: they failed, or there are more than are looked at. */
  unread: number;
  /** Statements that are left out, for there are too many. */
  left: number;
}

function onBoard(item: BoardItem, tiles: readonly Tile[], dataset: string): Statement[] {
  const using = tiles.filter((tile) => tile.sources.some((one) => one.dataset === dataset));
  return using.map((tile) => {
    const titles = { title: text(tile.title), place: text(item.title) };
    return { id: `${item.id}/${tile.id}`, ...titles, kind: 'board', sql: tile.sql };
  });
}

/** All statements that might read the dataset. Boards say so themselves; queries are traced. */
export async function statementsOn(dataset: string, signal: AbortSignal): Promise<Found> {
  const [shown, saved] = await Promise.all([
    orElse(boards(signal), { items: [] }),
    orElse(savedQueries(signal), { items: [] }),
  ]);
  let unread = Math.max(0, shown.items.length - BOARDS_MAX);
  const asked = shown.items.slice(0, BOARDS_MAX).map(async (item) => {
    try {
      return onBoard(item, (await board(item.id, null, signal)).tiles, dataset);
    } catch (thrown) {
      if (!closed(thrown)) unread += 1;
      return [];
    }
  });
  const queries = saved.items.map(({ id, title, sql }): Statement => {
    return { id: `query/${id}`, title, kind: 'query', sql };
  });
  const all = [...(await Promise.all(asked)).flat(), ...queries];
  const statements = all.slice(0, STATEMENTS_MAX);
  return { statements, unread, left: all.length - statements.length };
}

/** Traces statements, a few at once; those that cannot be traced are counted. */
export async function usesOf(
  dataset: string,
  statements: readonly Statement[],
  signal: AbortSignal,
  progress: (done: number) => void,
): Promise<{ uses: Use[]; failed: number }> {
  const waiting = [...statements];
  const uses: Use[] = [];
  let failed = 0;
  let done = 0;
  async function worker(): Promise<void> {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      try {
        const found = await lineage({ sql: next.sql }, signal);
        if (found.datasets.some((one) => one.id === dataset)) {
          uses.push({ statement: next, lineage: found });
        }
      } catch {
        if (signal.aborted) return;
        failed += 1;
      }
      progress(++done);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const order = new Map(statements.map((one, at) => [one.id, at]));
  uses.sort((a, b) => (order.get(a.statement.id) ?? 0) - (order.get(b.statement.id) ?? 0));
  return { uses, failed };
}

export interface FlowWords {
  source: string;
  related: string;
  board: string;
  query: string;
}

export function flowOf(
  page: DatasetPage,
  uses: readonly Use[],
  words: FlowWords,
): { boxes: FlowBox[]; edges: FlowEdge[] } {
  const here = `dataset/${page.id}`;
  const boxes: FlowBox[] = [
    { id: 'source', title: page.source_system, note: words.source, column: 0, rows: [] },
    {
      id: here,
      title: text(page.resource.name),
      note: page.id,
      column: 1,
      rows: page.fields.map(({ name }) => ({ id: name, label: name })),
    },
  ];
  const edges: FlowEdge[] = [{ from: { box: 'source' }, to: { box: here }, how: '' }];
  for (const related of page.resource.related) {
    boxes.push({
      id: `dataset/${related}`,
      title: related,
      note: words.related,
      column: 0,
      rows: [],
    });
  }
  for (const { statement, lineage: found } of uses) {
    const rows = found.columns
      .filter((column) => column.from.some((source) => source.dataset === page.id))
      .map(({ name }) => ({ id: name, label: name }));
    const kind = words[statement.kind];
    const note = statement.place ? `${kind} · ${statement.place}` : kind;
    boxes.push({ id: statement.id, title: statement.title, note, column: 2, rows });
    for (const column of found.columns) {
      for (const source of column.from) {
        if (source.dataset !== page.id) continue;
        edges.push({
          from: { box: here, row: source.field },
          to: { box: statement.id, row: column.name },
          how: source.how,
        });
      }
    }
    for (const source of found.deciding) {
      if (source.dataset !== page.id) continue;
      edges.push({
        from: { box: here, row: source.field },
        to: { box: statement.id },
        how: source.how,
      });
    }
  }
  return { boxes, edges };
}
