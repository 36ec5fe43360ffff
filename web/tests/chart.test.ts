import { describe, expect, it } from 'vitest';
import { choose, specOf } from '@/components/chart/spec';

const columns = [
  { name: 'month', type: 'Timestamp(µs, "UTC")' },
  { name: 'site', type: 'Utf8' },
  { name: 'pm25', type: 'Float64', unit: 'ug/m3' },
];
const rows = [
  { month: '2015-02-01T00:00:00Z', site: 'A', pm25: 3 },
  { month: '2015-01-01T00:00:00Z', site: 'A', pm25: 1 },
  { month: '2015-01-01T00:00:00Z', site: 'B', pm25: 2 },
];

describe('a chart', () => {
  it('of figures over time by a name has a line for each name, in order of time', () => {
    const choice = choose(columns, rows);
    expect(choice).toEqual({ kind: 'line', x: 'month', y: ['pm25'], by: 'site' });
    const spec = specOf(choice ?? { kind: 'line', x: null, y: [] }, columns, rows);
    expect(spec.labels).toEqual(['2015-01-01T00:00:00Z', '2015-02-01T00:00:00Z']);
    expect(spec.series).toEqual([
      { name: 'A', values: [1, 3] },
      { name: 'B', values: [2, null] },
    ]);
    expect(spec.unit).toBe('ug/m3');
  });

  it('of figures by a name has bars', () => {
    const plain = [
      { name: 'kind', type: 'Utf8' },
      { name: 'n', type: 'Int64' },
    ];
    expect(choose(plain, [{ kind: 'x', n: 1 }])).toEqual({ kind: 'bar', x: 'kind', y: ['n'] });
  });

  it('needs figures', () => {
    expect(choose([{ name: 'a', type: 'Utf8' }], [{ a: 'x' }])).toBeNull();
    expect(choose(columns, [])).toBeNull();
  });
});
