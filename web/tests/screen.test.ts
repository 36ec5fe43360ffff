// The wall: which tiles stand where, and what of them needs attention.
import { flushPromises, mount } from '@vue/test-utils';
import { describe, expect, it, vi } from 'vitest';
import type { Board, Tile } from '@/api/boards';
import '@/app/words';
import { i18n } from '@/i18n';
import {
  arrange,
  DRAWINGS_MAX,
  FIGURES_MAX,
  outlook,
  ROWS_MAX,
  short,
} from '@/pages/screen/arrange';
import ScreenTicker from '@/pages/screen/ScreenTicker.vue';
import '@/pages/screen/words';

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
  const source = { dataset: 'd', title: { zh: 'd', en: 'd' } };
  const old = {
    ...source,
    freshness: { last_at: '2026-01-01T00:00:00Z', stale: true },
  };
  const never = { state: 'never', last_at: null } as const;
  it('is the worst first, and nothing where all is well', () => {
    const found = outlook(
      board(
        tile('old', {
          sources: [old],
        }),
        tile('none', { sources: [{ ...source, freshness: { ...never, stale: true } }] }),
        tile('free', { sources: [{ ...source, freshness: { ...never, stale: false } }] }),
        tile('missed', { target: 60, better: 'higher' }),
        tile('well', { target: 40, better: 'higher' }),
        tile('low', { target: 40, floor: 55, better: 'higher' }),
        tile('shut', { error: { code: 'refused', title: 'no' }, sources: [old] }),
        tile('broken', { error: { code: 'timeout', title: 'too long' } }),
      ),
    );
    expect(found.concerns.map((one) => `${one.kind} ${one.tile.id}`)).toEqual([
      'floor low',
      'missed missed',
      'failed broken',
      'never none',
      'stale old',
      'closed shut',
    ]);
    const well = outlook(board(tile('well', { target: 40, better: 'higher' })));
    expect(well).toEqual({ concerns: [], told: 1, blank: 0 });
  });

  it('is also a figure without a value', () => {
    const none: Partial<Tile> = { rows: [{ value: null }], target: 40, better: 'higher' };
    const shut = tile('shut', { error: { code: 'not_found', title: 'no' } });
    const found = outlook(
      board(tile('a'), tile('b', none), tile('c', { rows: [] }), tile('d', { kind: 'line' }), shut),
    );
    expect(found).toMatchObject({ told: 1, blank: 2, concerns: [{ kind: 'closed' }] });
    expect(outlook(board())).toEqual({ concerns: [], told: 0, blank: 0 });
  });
});

describe('the ticker', () => {
  async function said(of: Board): Promise<string> {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('{"datasets":[],"total":0}')));
    const props = { board: of, paused: true, now: Date.now() };
    const ticker = mount(ScreenTicker, { props, global: { plugins: [i18n] } });
    await flushPromises();
    const words = ticker.find('.attention').text();
    ticker.unmount();
    vi.unstubAllGlobals();
    return words;
  }

  it('says that all is well only where there are figures, and all of them are', async () => {
    expect(await said(board(tile('a')))).toContain('各项指标正常');
    expect(await said(board(tile('a', { kind: 'line' })))).toContain('没有指标');
    const blank = await said(board(tile('a'), tile('b', { rows: [] })));
    expect(blank).toContain('1 项指标还没有数值');
    expect(blank).not.toContain('正常');
    const shut = await said(board(tile('a', { error: { code: 'refused', title: 'no' } })));
    expect(shut).toContain('a：您无权查看');
  });
});
