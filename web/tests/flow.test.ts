import { describe, expect, it } from 'vitest';
import { BOX_WIDTH, connected, endKey, place } from '@/components/flow/layout';

const boxes = [
  { id: 'a', title: 'A', column: 0, rows: [{ id: 'x', label: 'x' }] },
  {
    id: 'b',
    title: 'B',
    column: 1,
    rows: [
      { id: 'y', label: 'y' },
      { id: 'z', label: 'z' },
    ],
  },
  { id: 'c', title: 'C', column: 3, rows: [{ id: 'w', label: 'w' }] },
];
const edges = [
  { from: { box: 'a', row: 'x' }, to: { box: 'b', row: 'y' }, how: 'identity' },
  { from: { box: 'b', row: 'y' }, to: { box: 'c', row: 'w' }, how: 'aggregation' },
  { from: { box: 'b', row: 'z' }, to: { box: 'c' }, how: 'filter' },
];

describe('a lineage graph', () => {
  it('stands in columns without room for empty ones', () => {
    const placed = place(boxes, edges);
    const [a = 0, b = 0, c = 0] = placed.boxes.map((box) => box.x);
    expect(b - a).toBe(c - b);
    expect(placed.width).toBeGreaterThan(c + BOX_WIDTH);
    expect(placed.edges).toHaveLength(3);
  });

  it('leaves out lines to boxes that are not there', () => {
    expect(place(boxes.slice(0, 2), edges).edges).toHaveLength(1);
    expect(place([], []).height).toBeGreaterThan(0);
  });

  it('follows a field up and down, and not sideways', () => {
    const found = connected({ box: 'b', row: 'y' }, edges);
    expect(found).toEqual(
      new Set([
        endKey({ box: 'a', row: 'x' }),
        endKey({ box: 'b', row: 'y' }),
        endKey({ box: 'c', row: 'w' }),
      ]),
    );
  });

  it('ends where lines go round', () => {
    const round = [...edges, { from: { box: 'c', row: 'w' }, to: { box: 'a', row: 'x' }, how: '' }];
    expect(connected({ box: 'a', row: 'x' }, round).size).toBe(3);
  });
});
