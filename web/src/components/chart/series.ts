// What a chart of readings over time draws, apart from the drawing: a line for the mean in a band
// from the least to the most, gaps shaded, and below the axis a lane for each reason why readings
// were doubted, with a symbol of its own.
import type { Point } from '@/api/sensing';
import { compact, dateTime, number } from '@/i18n/format';
import { tickLabel, ticksOf } from './ticks';

export interface SeriesLine {
  name: string;
  unit: string;
  points: readonly Point[];
  gaps: readonly [from_ms: number, to_ms: number][];
  /** Which of the six ways of drawing it has. */
  look: number;
}

export interface FlagMark {
  bit: number;
  symbol: string;
  title: string;
}

export interface SeriesSpec {
  from_ms: number;
  to_ms: number;
  lines: readonly SeriesLine[];
  marks: readonly FlagMark[];
  /** Room for a second axis even without one, so that charts below each other agree. */
  roomy?: boolean;
  words: { gap: string; readings: string; flagged: string };
}

export interface SeriesLook {
  ink: string;
  soft: string;
  line: string;
  lineStrong: string;
  surface: string;
  warn: string;
  font: string;
  /** One for each look of a line. */
  colours: readonly string[];
  zone: string;
  tag: string;
  width: number;
}

/** Lines are told apart by their dashes too. */
export const DASHES: readonly (string | number[])[] = [
  'solid',
  [8, 4],
  [2, 3],
  [10, 3, 2, 3],
  [4, 4],
  [14, 4],
];

export const AXES_MAX = 2;
const TEXT_PX = 12;
const LANE_PX = 18;
const SIDE_PX = 58;
const PER_MARK_PX = 92;
const SHOWN_SINGLY_MAX = 80;

type Item = (number | null)[];

/** The units of a chart, in the order in which its lines name them; the first two have an axis. */
export function unitsOf(lines: readonly { unit: string }[]): string[] {
  return [...new Set(lines.map((line) => line.unit))];
}

/** Lines by the chart they stand in: two units share one, each further pair has one below. */
export function panelsOf<T extends { unit: string }>(lines: readonly T[]): T[][] {
  const units = unitsOf(lines);
  const panels: T[][] = [];
  for (let at = 0; at < units.length; at += AXES_MAX) {
    const here = units.slice(at, at + AXES_MAX);
    panels.push(lines.filter((line) => here.includes(line.unit)));
  }
  return panels;
}

/** Points in order of time, with a break where there is a gap. */
export function broken(line: Pick<SeriesLine, 'points' | 'gaps'>): Point[] {
  const breaks = line.gaps.map(([from, to]): Point => [(from + to) / 2, null, null, null, 0, 0]);
  return [...line.points, ...breaks].sort((a, b) => a[0] - b[0]);
}

/** Marks that some point has, so that no lane is empty. */
export function marksOf(spec: Pick<SeriesSpec, 'lines' | 'marks'>): FlagMark[] {
  const all = spec.lines.reduce(
    (bits, line) => line.points.reduce((sum, point) => sum | point[5], bits),
    0,
  );
  return spec.marks.filter((mark) => (all & mark.bit) !== 0);
}

/** A point without neighbours is no line: it gets a dot. */
function alone(points: readonly Point[], at: number): boolean {
  const has = (place: number): boolean => (points[place]?.[3] ?? null) !== null;
  return has(at) && !has(at - 1) && !has(at + 1);
}

function lineSeries(
  line: SeriesLine,
  at: number,
  axis: number,
  spec: SeriesSpec,
  look: SeriesLook,
) {
  const points = broken(line);
  const colour = look.colours[line.look % look.colours.length];
  const few = line.points.length <= SHOWN_SINGLY_MAX;
  const common = { type: 'line', xAxisIndex: 0, yAxisIndex: axis, connectNulls: false } as const;
  const band = points.some(([, min, max]) => min !== null && max !== null && max > min);
  const hidden = {
    ...common,
    stack: `band${at}`,
    stackStrategy: 'all',
    symbol: 'none',
    silent: true,
    lineStyle: { opacity: 0 },
    tooltip: { show: false },
  };
  const gaps = spec.lines.length === 1 ? line.gaps : [];
  const mean = {
    ...common,
    id: `line${at}`,
    name: line.name,
    data: points.map(([t, min, max, value, n, flags], place) => {
      const item: Item = [t, value, min, max, n, flags];
      const dot = few || alone(points, place);
      return { value: item, symbol: dot ? 'circle' : 'none', symbolSize: 5 };
    }),
    showSymbol: true,
    showAllSymbol: true,
    itemStyle: { color: colour },
    lineStyle: { color: colour, width: 2, type: DASHES[line.look % DASHES.length] },
    z: 3,
    ...(gaps.length > 0
      ? {
          markArea: {
            silent: true,
            itemStyle: {
              color: look.lineStrong,
              opacity: 0.2,
              borderColor: look.lineStrong,
              borderWidth: 1,
              borderType: 'dashed',
            },
            label: { show: false },
            data: gaps.map(([from, to]) => [
              { xAxis: Math.max(from, spec.from_ms) },
              { xAxis: Math.min(to, spec.to_ms) },
            ]),
          },
        }
      : {}),
  };
  if (!band) return [mean];
  return [
    { ...hidden, data: points.map(([t, min]): Item => [t, min]) },
    {
      ...hidden,
      areaStyle: { color: colour, opacity: 0.2 },
      data: points.map(([t, min, max]): Item => [
        t,
        min !== null && max !== null ? max - min : null,
      ]),
    },
    mean,
  ];
}

interface Hovered {
  seriesId?: string;
  value?: Item;
}

/** What is said of the moment that one points at. */
export function said(found: readonly Hovered[], spec: SeriesSpec): string {
  const lines = found.flatMap(({ seriesId, value }): string[] => {
    const at = /^line(\d+)$/.exec(seriesId ?? '')?.[1];
    const line = at === undefined ? undefined : spec.lines[Number(at)];
    if (!line || !value) return [];
    const [, mean = null, min = null, max = null, n = 0, flags = 0] = value;
    const doubted = spec.marks.filter((mark) => ((flags ?? 0) & mark.bit) !== 0);
    const range =
      min !== null && max !== null && max > min ? ` [${number(min)} – ${number(max)}]` : '';
    const count = (n ?? 0) > 1 ? ` · ${number(n ?? 0, 0)} ${spec.words.readings}` : '';
    const why =
      doubted.length > 0
        ? `\n  ${spec.words.flagged}: ${doubted.map((mark) => mark.title).join(' / ')}`
        : '';
    const figure = mean === null ? spec.words.gap : `${number(mean)} ${line.unit}`.trim();
    return [`${line.name}: ${figure}${range}${count}${why}`];
  });
  const [first] = found;
  const moment = first?.value?.[0];
  return moment == null ? '' : [dateTime(moment), ...lines].join('\n');
}

function axisOf(unit: string, at: number, look: SeriesLook): Record<string, unknown> {
  return {
    type: 'value',
    gridIndex: 0,
    scale: true,
    position: at === 0 ? 'left' : 'right',
    name: unit,
    nameGap: 10,
    nameTextStyle: { color: look.soft, align: at === 0 ? 'left' : 'right', fontSize: TEXT_PX },
    axisLabel: {
      color: look.soft,
      fontSize: TEXT_PX,
      formatter: (figure: number) => compact(figure),
    },
    splitLine: { show: at === 0, lineStyle: { color: look.line } },
    splitNumber: 4,
  };
}

export function seriesOptions(spec: SeriesSpec, look: SeriesLook): Record<string, unknown> {
  const units = unitsOf(spec.lines).slice(0, AXES_MAX);
  const marks = marksOf(spec);
  const lanes_px = marks.length * LANE_PX;
  const right = units.length > 1 || spec.roomy ? SIDE_PX : 16;
  const room = Math.max(2, Math.floor((look.width - SIDE_PX - right) / PER_MARK_PX));
  const ticks = ticksOf(spec.from_ms, spec.to_ms, look.zone, room);
  const time = {
    type: 'time',
    min: spec.from_ms,
    max: spec.to_ms,
    axisTick: { customValues: ticks.at },
    axisLine: { onZero: false, lineStyle: { color: look.lineStrong } },
    splitLine: { show: false },
  };
  const lanes = marks.flatMap((mark, lane) =>
    spec.lines.map((line) => ({
      type: 'scatter',
      xAxisIndex: 1,
      yAxisIndex: units.length,
      symbol: mark.symbol,
      symbolSize: 10,
      itemStyle: { color: spec.lines.length > 1 ? look.colours[line.look] : look.warn },
      silent: true,
      tooltip: { show: false },
      data: line.points
        .filter((point) => (point[5] & mark.bit) !== 0)
        .map((point): Item => [point[0], lane]),
    })),
  );
  const textStyle = { color: look.ink, fontFamily: look.font, fontSize: TEXT_PX };
  const side = { left: SIDE_PX, right };
  return {
    animation: false,
    aria: { enabled: false },
    textStyle,
    tooltip: {
      trigger: 'axis',
      renderMode: 'richText',
      confine: true,
      backgroundColor: look.surface,
      borderColor: look.line,
      textStyle,
      axisPointer: { type: 'line', lineStyle: { color: look.lineStrong } },
      formatter: (found: Hovered | Hovered[]) => said(Array.isArray(found) ? found : [found], spec),
    },
    grid: [
      { ...side, top: 30, bottom: 26 + (lanes_px > 0 ? lanes_px + 10 : 0) },
      ...(marks.length > 0 ? [{ ...side, height: lanes_px, bottom: 2 }] : []),
    ],
    xAxis: [
      {
        ...time,
        gridIndex: 0,
        axisLabel: {
          customValues: ticks.at,
          color: look.soft,
          fontSize: TEXT_PX,
          fontFamily: look.font,
          hideOverlap: true,
          formatter: (moment: number) => tickLabel(moment, ticks.unit, look.zone, look.tag),
        },
      },
      ...(marks.length > 0
        ? [
            {
              ...time,
              gridIndex: 1,
              axisLabel: { show: false },
              axisTick: { show: false },
              axisLine: { show: false },
              axisPointer: { show: false },
            },
          ]
        : []),
    ],
    yAxis: [
      ...units.map((unit, at) => axisOf(unit, at, look)),
      ...(marks.length > 0
        ? [
            {
              type: 'category',
              gridIndex: 1,
              data: marks.map((mark) => mark.title),
              inverse: true,
              axisLine: { show: false },
              axisTick: { show: false },
              splitLine: { show: true, lineStyle: { color: look.line } },
              axisLabel: {
                color: look.warn,
                fontSize: TEXT_PX - 1,
                interval: 0,
                width: SIDE_PX - 8,
                overflow: 'truncate',
              },
            },
          ]
        : []),
    ],
    series: [
      ...spec.lines.flatMap((line, at) =>
        lineSeries(line, at, Math.max(0, units.indexOf(line.unit)), spec, look),
      ),
      ...lanes,
    ],
  };
}
