import { describe, expect, it } from 'vitest';
import type { Tile } from '@/api/boards';
import { chartOf, readingOf } from '@/components/tile/tile';

function tile(part: Partial<Tile>): Tile {
  return {
    id: 't',
    title: { zh: '题', en: 'title' },
    kind: 'number',
    sql: 'SELECT 1',
    columns: [{ name: 'n', type: 'integer' }],
    rows: [{ n: 8 }],
    sources: [],
    ...part,
  };
}

describe('a number tile', () => {
  it('says how far it is from its target, and whether that is good', () => {
    expect(readingOf(tile({ target: 0, better: 'lower' }))).toMatchObject({
      gap: 8,
      reached: false,
    });
    expect(readingOf(tile({ target: 10, better: 'lower' })).reached).toBe(true);
    expect(readingOf(tile({ target: 10, better: 'higher' })).reached).toBe(false);
    expect(readingOf(tile({ target: 10 })).reached).toBeNull();
  });

  it('says when it is beyond its floor', () => {
    expect(readingOf(tile({ floor: 9 })).beyondFloor).toBe(true);
    expect(readingOf(tile({ floor: 9, better: 'lower' })).beyondFloor).toBe(false);
    expect(readingOf(tile({})).beyondFloor).toBe(false);
  });

  it('without a row has no figure', () => {
    expect(readingOf(tile({ rows: [], target: 1, better: 'lower' }))).toMatchObject({
      value: null,
      gap: null,
      reached: null,
    });
  });
});

describe('a chart tile', () => {
  const columns = [
    { name: 'kind', type: 'text', labels: { a: { zh: '甲', en: 'A' } } },
    { name: 'n', type: 'integer', title: { zh: '件数', en: 'Items' } },
  ];
  const rows = [
    { kind: 'a', n: 1 },
    { kind: 'b', n: 2 },
  ];

  it('draws the first column against the others, coded values by their names', () => {
    expect(chartOf(tile({ kind: 'bar', columns, rows }))).toMatchObject({
      labels: ['甲', 'b'],
      series: [{ name: '件数', values: [1, 2] }],
    });
  });

  it('has nothing to draw without figures or rows', () => {
    expect(chartOf(tile({ kind: 'bar', columns, rows: [] }))).toBeNull();
    expect(chartOf(tile({ kind: 'bar', columns: columns.slice(0, 1), rows }))).toBeNull();
  });
});
