// The wall: which tiles stand where, and what of them needs attention.
import { describe, expect, it } from 'vitest';
import type { Board, Tile } from '@/api/boards';
import {
  arrange,
  concerns,
  DRAWINGS_MAX,
  FIGURES_MAX,
  ROWS_MAX,
  short,
} from '@/pages/screen/arrange';

const tile = (id: string, of: Partial<Tile> = {}): Tile => ({
  id,
  title: { zh: id, en: id },
  kind: 'number',
  sql: 'SELECT 1',
  columns: [{ name: 'value', type: 'Float64' }],
  rows: [{ value: 50 }],
  sources: [],
  ...of,
});
const board = (...tiles: Tile[]): Board => ({ id: 'b', title: { zh: 'b', en: 'b' }, tiles });
const ids = (pages: Tile[][]): string[][] => pages.map((page) => page.map((one) => one.id));
const many = (count: number, of: Partial<Tile> = {}): Tile[] =>
  Array.from({ length: count }, (_, at) => tile(`${of.kind ?? 'number'}${at}`, of));

describe('columns', () => {
  it('have figures on the left, drawings on the right', () => {
    const { left, right } = arrange(board(tile('a'), tile('line', { kind: 'line' }), tile('b')));
    expect(ids(left)).toEqual([['a', 'b']]);
    expect(ids(right)).toEqual([['line']]);
  });

  it('turn pages where there is too much, each tile on one of them', () => {
    const { left, right } = arrange(board(...many(9), ...many(4, { kind: 'bar' })));
    expect(left.length).toBe(3);
    expect(left.flat().length).toBe(9);
    expect(Math.max(...left.map((page) => page.length))).toBeLessThanOrEqual(FIGURES_MAX);
    expect(right.map((page) => page.length)).toEqual([2, 2]);
    expect(Math.max(...right.map((page) => page.length))).toBeLessThanOrEqual(DRAWINGS_MAX);
  });

  it('share out what is of one kind only', () => {
    expect(arrange(board(...many(5))).right.flat().length).toBe(2);
    expect(arrange(board(...many(5, { kind: 'table' }))).left.flat().length).toBe(3);
    expect(arrange(board()).left).toEqual([[]]);
  });

  it('show of a table what can be read', () => {
    const rows = Array.from({ length: 30 }, (_, value) => ({ value }));
    const cut = short(tile('t', { kind: 'table', rows }));
    expect(cut.rows.length).toBe(ROWS_MAX);
    expect(cut.cut).toBe(true);
    expect(short(tile('l', { kind: 'line', rows })).rows.length).toBe(30);
  });
});

describe('what needs attention', () => {
  const stale = { dataset: 'd', title: { zh: 'd', en: 'd' } };
  const never = { state: 'never', last_at: null } as const;
  it('is the worst first, and nothing where all is well', () => {
    const found = concerns(
      board(
        tile('old', {
          sources: [{ ...stale, freshness: { last_at: '2026-01-01T00:00:00Z', stale: true } }],
        }),
        tile('none', { sources: [{ ...stale, freshness: { ...never, stale: true } }] }),
        tile('free', { sources: [{ ...stale, freshness: { ...never, stale: false } }] }),
        tile('missed', { target: 60, better: 'higher' }),
        tile('well', { target: 40, better: 'higher' }),
        tile('low', { target: 40, floor: 55, better: 'higher' }),
        tile('broken', { error: { code: 'timeout', title: 'too long' } }),
      ),
    );
    expect(found.map((one) => `${one.kind} ${one.tile.id}`)).toEqual([
      'floor low',
      'missed missed',
      'failed broken',
      'never none',
      'stale old',
    ]);
    expect(concerns(board(tile('well', { target: 40, better: 'higher' })))).toEqual([]);
  });
});
