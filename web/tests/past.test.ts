import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Board, Tile } from '@/api/boards';
import { boardAt } from '@/pages/home/past';

const tile = (id: string): Tile => ({
  id,
  title: { zh: id, en: id },
  kind: 'number',
  sql: `SELECT ${id}`,
  columns: [{ name: 'n', title: { zh: '数', en: 'n' } }],
  rows: [{ n: 9 }],
  sources: [{ dataset: 'd', title: { zh: '', en: '' }, freshness: { last_at: null, stale: true } }],
});

afterEach(() => vi.unstubAllGlobals());

describe('a board in the past', () => {
  it('asks each tile as of the moment, and one that fails leaves the others alone', async () => {
    const asked: { sql: string; as_of: string }[] = [];
    vi.stubGlobal('fetch', (_path: string, init: RequestInit) => {
      const body = JSON.parse(String(init.body)) as (typeof asked)[number];
      asked.push(body);
      if (body.sql === 'SELECT bad') {
        const problem = { code: 'not_found', status: 404, title: 'none then' };
        return Promise.resolve(new Response(JSON.stringify(problem), { status: 404 }));
      }
      const answer = { columns: [{ name: 'n', type: 'Int64' }], rows: [{ n: 1 }], row_count: 1 };
      return Promise.resolve(new Response(JSON.stringify(answer)));
    });
    const tiles = ['a', 'bad', 'c', 'd', 'e', 'f'].map(tile);
    const board: Board = { id: 'b', title: { zh: '', en: '' }, tiles };
    const moment = '2026-01-01T00:00:00Z';
    const then = await boardAt(board, moment, new AbortController().signal);
    expect(asked).toHaveLength(6);
    expect(asked.every((one) => one.as_of === moment)).toBe(true);
    expect(then.tiles.map((one) => one.id)).toEqual(['a', 'bad', 'c', 'd', 'e', 'f']);
    expect(then.tiles[0]?.rows).toEqual([{ n: 1 }]);
    expect(then.tiles[0]?.columns[0]?.title?.zh).toBe('数');
    expect(then.tiles[0]?.sources[0]?.freshness).toBeNull();
    expect(then.tiles[1]).toMatchObject({ rows: [], error: { code: 'not_found' } });
  });
});
