// Sensing on the screens: shapes of states, rings of groups, what is in the address, charts of
// readings and their axis of time.
import { describe, expect, it } from 'vitest';
import type { Cluster, DeviceState, Point, SensorMap } from '@/api/sensing';
import { placeOf as navPlace } from '@/app/nav';
import {
  broken,
  marksOf,
  panelsOf,
  said,
  seriesOptions,
  type SeriesLine,
  type SeriesLook,
  type SeriesSpec,
} from '@/components/chart/series';
import { tickLabel, ticksOf } from '@/components/chart/ticks';
import {
  boundsOf,
  censusBy,
  filterOf,
  filterQuery,
  idsOf,
  moves,
  rangeOf,
  rangeQuery,
} from '@/pages/sensing/address';
import { specOf, toldOf } from '@/pages/sensing/chart';
import { counts, disc } from '@/pages/sensing/discs';
import { DOUBTS, FLAGS, flagsOf } from '@/pages/sensing/flags';
import { marksOn, narrowed, ringSide } from '@/pages/sensing/marks';
import { deviceSql, maintenanceSql, readingsSql, statesSql } from '@/pages/sensing/questions';
import { span } from '@/pages/sensing/said';
import {
  arc,
  COLOUR_OF,
  everConnected,
  PATH_OF,
  ringOf,
  SHAPE_OF,
  standing,
  STATES,
} from '@/pages/sensing/state';

const ZONE = 'Asia/Shanghai';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe('states', () => {
  it('have each a shape and a colour of their own', () => {
    expect(SHAPE_OF).toEqual({
      reporting: 'circle',
      connected: 'square',
      silent: 'triangle',
      registered: 'diamond',
      retired: 'cross',
    });
    expect(new Set(Object.values(COLOUR_OF)).size).toBe(STATES.length);
    expect(new Set(STATES.map((state) => PATH_OF[SHAPE_OF[state]])).size).toBe(5);
  });

  it('leave the retired out of what is counted', () => {
    const some = { devices: 10, registered: 1, connected: 2, reporting: 3, silent: 1, retired: 3 };
    const rest = { connected_share: null, valid_share: null, uptime_share: null };
    const all = { ...some, ...rest, maintenance_due: 0 };
    expect(standing(all)).toBe(7);
    expect(everConnected(all)).toBe(6);
  });
});

describe('a group on the map', () => {
  const cluster: Cluster = { lon: 104, lat: 30, n: 4, states: { reporting: 3, silent: 1 } };

  it('is a ring of the shares of its states', () => {
    expect(ringOf(cluster.states)).toEqual([
      { state: 'silent', from: 0, to: 0.25 },
      { state: 'reporting', from: 0.25, to: 1 },
    ]);
    expect(arc(0, 0.25, 10, 10)).toBe('M10.00 0.00A10 10 0 0 1 20.00 10.00');
    // A whole ring must not end where it begins, or nothing is drawn.
    expect(arc(0, 1, 10, 10)).not.toMatch(/^M(\S+ \S+)A.* \1$/);
  });

  it('is larger for more, within bounds', () => {
    expect(ringSide(1)).toBe(36);
    expect(ringSide(1000)).toBeGreaterThan(ringSide(10));
    expect(ringSide(1e9)).toBe(60);
  });

  it('counts only the state that is asked for', () => {
    expect(narrowed(cluster, 'silent')).toMatchObject({ n: 1, states: { silent: 1 } });
    expect(narrowed(cluster, 'retired')).toBeNull();
    expect(narrowed(cluster, null)).toBe(cluster);
  });

  it('stands beside single devices, which are the shape of their state', () => {
    const map: SensorMap = {
      clusters: [cluster],
      devices: [
        { thing: 7, name: 'a', state: 'silent', geometry: [104.1, 30.1] },
        { thing: 8, name: 'b', state: 'reporting', lon: 104.2, lat: 30.2 },
        { thing: 9, name: 'c', state: 'silent', geometry: null },
      ],
    };
    const words = { device: () => 'd', cluster: () => 'c' };
    const keys = (state: string | null): string[] =>
      marksOn(map, state, words).map((mark) => mark.key);
    expect(keys(null)).toEqual(['c 104 30', 'd 7', 'd 8']);
    expect(keys('silent')).toEqual(['c 104 30', 'd 7']);
    const drawn = marksOn(map, 'silent', words).map((mark) => mark.draw());
    // The ring of a group with silent ones has a triangle in it.
    expect(drawn[0]?.innerHTML).toContain(PATH_OF.triangle);
    expect(drawn[1]?.innerHTML).toContain(PATH_OF.triangle);
  });
});

describe('what is in the address', () => {
  it('is read with a doubt', () => {
    expect(censusBy({ by: 'kind' })).toBe('kind');
    expect(censusBy({ by: 'nonsense' })).toBe('area');
    expect(filterOf({ state: 'nonsense', kind: 'air', q: '' })).toEqual({
      department: null,
      kind: 'air',
      state: null,
      q: null,
    });
    expect(idsOf('3,x,5,3,-1,9,10,11,12,13')).toEqual([3, 5, 9, 10, 11, 12]);
    expect(idsOf(undefined)).toEqual([]);
  });

  it('goes back and forth', () => {
    const filter = { department: 'd', kind: null, state: 'silent', q: 'x' };
    expect(filterQuery(filter)).toEqual({
      department: 'd',
      kind: undefined,
      state: 'silent',
      q: 'x',
    });
    const own = { from: new Date('2026-01-01T00:00:00Z'), to: new Date('2026-01-02T00:00:00Z') };
    expect(rangeOf(rangeQuery(own) as Record<string, string>)).toEqual(own);
    expect(rangeOf({ span: 'year' })).toEqual({ span: 'year' });
    expect(rangeOf({ from: '2026-01-02', to: '2026-01-01' })).toEqual({ span: 'day' });
  });

  it('says whether readings still come into it', () => {
    const now = Date.parse('2026-06-01T00:00:00Z');
    expect(boundsOf({ span: 'week' }, now).from.getTime()).toBe(now - 7 * DAY_MS);
    expect(moves({ span: 'day' }, now)).toBe(true);
    expect(moves({ from: new Date(0), to: new Date(now - 1) }, now)).toBe(false);
  });
});

describe('flags', () => {
  it('are bits, each with a symbol of its own', () => {
    expect(flagsOf(0)).toEqual([]);
    expect(flagsOf(null)).toEqual([]);
    expect(flagsOf(1 + 8 + 64).map((flag) => flag.id)).toEqual(['range', 'spike', 'late']);
    expect(new Set(FLAGS.map((flag) => flag.symbol)).size).toBe(FLAGS.length);
    expect(DOUBTS.reduce((bits, flag) => bits | flag.bit, 0)).toBe(63);
  });
});

describe('an axis of time', () => {
  const from = Date.parse('2026-03-01T10:20:00+08:00');

  it('is marked at whole hours of the city’s clock', () => {
    const { unit, at } = ticksOf(from, from + 24 * HOUR_MS, ZONE, 8);
    expect(unit).toBe('hour');
    expect(at.length).toBeGreaterThan(5);
    for (const moment of at) expect((moment + 8 * HOUR_MS) % (3 * HOUR_MS)).toBe(0);
    expect(tickLabel(Date.parse('2026-03-02T00:00:00+08:00'), 'hour', ZONE, 'en-GB')).toBe('02/03');
    expect(tickLabel(Date.parse('2026-03-02T06:00:00+08:00'), 'hour', ZONE, 'en-GB')).toBe('06:00');
  });

  it('is marked at days and months of longer times', () => {
    const week = ticksOf(from, from + 7 * DAY_MS, ZONE, 8);
    expect(week.unit).toBe('day');
    expect(week.at).toHaveLength(7);
    const year = ticksOf(from, from + 366 * DAY_MS, ZONE, 13);
    expect(year.unit).toBe('month');
    expect(year.at[0]).toBe(Date.parse('2026-04-01T00:00:00+08:00'));
    expect(year.at).toHaveLength(12);
  });

  it('has no more marks than there is room for, however long or short', () => {
    for (const length of [1, 1000, HOUR_MS, DAY_MS, 400 * DAY_MS, 40_000 * DAY_MS]) {
      const { at } = ticksOf(from, from + length, ZONE, 6);
      expect(at.length).toBeLessThanOrEqual(60);
      for (const moment of at) expect(moment).toBeGreaterThanOrEqual(from);
    }
  });
});

const point = (t: number, mean: number | null, flags = 0, wide = 0): Point => [
  t,
  mean === null ? null : mean - wide,
  mean === null ? null : mean + wide,
  mean,
  1,
  flags,
];

const line = (unit: string, points: Point[], gaps: [number, number][] = []): SeriesLine => ({
  name: `in ${unit}`,
  unit,
  points,
  gaps,
  look: 0,
});

const words = { gap: 'none', readings: 'readings', flagged: 'doubted' };
const marks = FLAGS.map(({ bit, id, symbol }) => ({ bit, symbol, title: id }));
const spec = (lines: SeriesLine[]): SeriesSpec => ({
  from_ms: 0,
  to_ms: DAY_MS,
  lines,
  marks,
  words,
});

const look: SeriesLook = {
  ink: '#000',
  soft: '#111',
  line: '#222',
  lineStrong: '#333',
  surface: '#fff',
  warn: '#a50',
  font: 'sans',
  colours: ['#1', '#2', '#3', '#4', '#5', '#6'],
  zone: ZONE,
  tag: 'en-GB',
  width: 800,
};

interface Drawn {
  grid: object[];
  xAxis: object[];
  yAxis: { type: string; data?: string[]; position?: string }[];
  series: {
    id?: string;
    type: string;
    symbol?: string;
    stack?: string;
    markArea?: { data: unknown[] };
    data: unknown[];
    yAxisIndex: number;
  }[];
}
const options = (of: SeriesSpec): Drawn => seriesOptions(of, look) as unknown as Drawn;

describe('a chart of readings', () => {
  it('breaks the line at gaps', () => {
    const points = broken(line('m', [point(0, 1), point(HOUR_MS, 2)], [[10, 20]]));
    expect(points.map(([t, , , mean]) => [t, mean])).toEqual([
      [0, 1],
      [15, null],
      [HOUR_MS, 2],
    ]);
  });

  it('has a band only where there is a range, and shades the gaps of a single line', () => {
    const raw = options(spec([line('m', [point(0, 1), point(1, 2)], [[5, 6]])]));
    expect(raw.series.filter((one) => one.stack)).toHaveLength(0);
    expect(raw.series[0]?.markArea?.data).toEqual([[{ xAxis: 5 }, { xAxis: 6 }]]);
    const wide = options(spec([line('m', [point(0, -5, 0, 2)])]));
    const [low, height] = wide.series;
    expect(low?.data[0]).toEqual([0, -7]);
    expect(height?.data[0]).toEqual([0, 4]);
    const two = options(
      spec([line('m', [point(0, 1)], [[5, 6]]), line('m', [point(0, 1)], [[5, 6]])]),
    );
    expect(two.series.every((one) => one.markArea === undefined)).toBe(true);
  });

  it('has a lane for each reason of doubt that occurs, with its symbol', () => {
    const flagged = line('m', [point(0, 1), point(1, null, 1 + 8), point(2, 3, 64)]);
    expect(marksOf(spec([flagged])).map((mark) => mark.title)).toEqual(['range', 'spike', 'late']);
    const drawn = options(spec([flagged]));
    expect(drawn.yAxis[1]?.data).toEqual(['range', 'spike', 'late']);
    const lanes = drawn.series.filter((one) => one.type === 'scatter');
    expect(lanes.map((one) => one.symbol)).toEqual(['triangle', 'diamond', 'circle']);
    expect(lanes.map((one) => one.data)).toEqual([[[1, 0]], [[1, 1]], [[2, 2]]]);
    expect(lanes.every((one) => one.yAxisIndex === 1)).toBe(true);
    expect(options(spec([line('m', [point(0, 1)])])).grid).toHaveLength(1);
  });

  it('has a second axis where units differ, and further charts beyond two', () => {
    const lines = ['a', 'b', 'a', 'c'].map((unit) => line(unit, [point(0, 1)]));
    expect(panelsOf(lines).map((panel) => panel.map((one) => one.unit))).toEqual([
      ['a', 'b', 'a'],
      ['c'],
    ]);
    const drawn = options(spec(lines.slice(0, 3)));
    expect(drawn.yAxis.map((axis) => axis.position)).toEqual(['left', 'right']);
    expect(drawn.series.map((one) => one.yAxisIndex)).toEqual([0, 1, 0]);
  });

  it('says of a moment what is known of it', () => {
    const of = spec([line('m', [])]);
    const text = said([{ seriesId: 'line0', value: [0, 2, 1, 3, 7, 4] }], of);
    expect(text).toContain('in m: 2 m [1 – 3] · 7 readings');
    expect(text).toContain('doubted: stuck');
    expect(said([{ seriesId: 'line0', value: [0, null, null, null, 0, 0] }], of)).toContain('none');
    expect(said([], of)).toBe('');
  });

  it('of a year draws each bucket once: low, height and mean', () => {
    const points = Array.from({ length: 2000 }, (_, at) => point(at * 1000, at % 50, 0, 1));
    const drawn = options(spec([line('m', points)]));
    expect(drawn.series.map((one) => one.data.length)).toEqual([2000, 2000, 2000]);
  });

  it('keeps the look of a line by the order that was asked for', () => {
    const one = (datastream: number) => ({
      datastream,
      name: String(datastream),
      unit: 'Cel',
      step_ms: null,
      raw: true,
      points: [point(0, datastream), point(1, null, 1)],
      gaps: [],
    });
    const answer = { from: 0, to: DAY_MS, series: [one(5), one(9)] };
    const made = specOf(answer, [9, 4, 5], (key) => key);
    expect(made.lines.map(({ name, look: at }) => [name, at])).toEqual([
      ['9', 0],
      ['5', 2],
    ]);
    const [first] = made.lines;
    expect(first && toldOf(first)).toMatchObject({ last: 9, min: 9, max: 9, flagged: 1 });
  });
});

describe('statements', () => {
  it('say what the screens show, and take no word for a command', () => {
    expect(statesSql({ area: '510104000000', kind: "x' OR 1=1" })).toContain(
      "starts_with(area_code, '510104')\n  AND kind = 'x'' OR 1=1'",
    );
    expect(statesSql({ area: "5101'; DROP" })).not.toContain('DROP');
    expect(deviceSql('12')).toContain('thing = 12');
    expect(maintenanceSql(null)).toContain("state <> 'retired'");
    expect(readingsSql(3, new Date(0), new Date(1000))).toContain('1970-01-01T00:00:01.000Z');
  });
});

describe('words', () => {
  it('say a length of time in the unit that fits', () => {
    const t = (key: string, values: Record<string, unknown>): string =>
      `${String(values.count)} ${key.split('.').at(-1)}`;
    expect([1, 60, 90, 300, 3600, 86_400, 172_800].map((seconds) => span(seconds, t))).toEqual([
      '1 seconds',
      '1 minutes',
      '90 seconds',
      '5 minutes',
      '1 hours',
      '1 days',
      '2 days',
    ]);
  });
});

describe('coverage', () => {
  it('is a disc of the right size around what counts', () => {
    const [ring = []] = disc(104, 30, 1000).coordinates;
    expect(ring[0]).toEqual(ring.at(-1));
    const lats = ring.map(([, lat = 0]) => lat);
    expect((Math.max(...lats) - Math.min(...lats)) * 111_195).toBeCloseTo(2000, 0);
    const states: DeviceState[] = ['reporting', 'connected', 'registered', 'silent', 'retired'];
    expect(states.filter(counts)).toEqual(['reporting', 'connected']);
  });
});

describe('the navigation', () => {
  const paths = ['/', '/sensing', '/sensing/map', '/sql'];

  it('marks the page with the longest path that leads here', () => {
    expect(navPlace('/sensing/map', paths)).toBe('/sensing/map');
    expect(navPlace('/sensing/devices/3', paths)).toBe('/sensing');
    expect(navPlace('/sensing', paths)).toBe('/sensing');
    expect(navPlace('/sqlite', paths)).toBeNull();
  });
});
