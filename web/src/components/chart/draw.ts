// The drawing itself: ECharts with the few parts that are used. A chunk of its own, loaded when the
// first chart is. Tooltips are drawn in the picture ("richText"): as HTML they would bring inline
// styles, which the content security policy refuses.
import { BarChart, LineChart, PieChart, ScatterChart } from 'echarts/charts';
import {
  AriaComponent,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TooltipComponent,
} from 'echarts/components';
import { type EChartsType, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { token } from '@/app/theme';
import { compact, cityZone, moment, number } from '@/i18n/format';
import { language } from '@/i18n';
import { lies, type ChartSpec } from './spec';

use([
  AriaComponent,
  BarChart,
  GridComponent,
  LegendComponent,
  LineChart,
  MarkLineComponent,
  PieChart,
  ScatterChart,
  SVGRenderer,
  TooltipComponent,
]);

export interface Marks {
  target: string;
  floor: string;
}

/** Series are told apart by dash and symbol too. */
const DASHES = ['solid', 'dashed', 'dotted', [8, 3, 2, 3], [2, 6], [12, 4]] as const;
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'pin', 'arrow'] as const;
const POINTS_WITH_SYMBOLS_MAX = 40;
const HOUR_MS = 3_600_000;
const TEXT_PX = 12;
/** A line of names, in their own size, axis and margins included. */
const NAME_LINE = 1.5;

function timeLabel(text: string, span: number): string {
  const at = moment(text);
  if (Number.isNaN(at.getTime())) return text;
  const tag = language.value === 'zh' ? 'zh-CN' : 'en-GB';
  const day = { month: 'numeric', day: 'numeric' } as const;
  const hour = { hour: '2-digit', minute: '2-digit', hour12: false } as const;
  const parts =
    span > 400 * 24 * HOUR_MS
      ? ({ year: 'numeric', month: 'numeric' } as const)
      : span > 4 * 24 * HOUR_MS
        ? day
        : span > 20 * HOUR_MS
          ? { ...day, ...hour }
          : hour;
  return new Intl.DateTimeFormat(tag, { ...parts, timeZone: cityZone.value }).format(at);
}

function marks(spec: ChartSpec, words: Marks, size: number): object | undefined {
  const lines = [
    spec.target != null && { yAxis: spec.target, name: words.target, color: token('ok') },
    spec.floor != null && { yAxis: spec.floor, name: words.floor, color: token('bad') },
  ].filter((line): line is { yAxis: number; name: string; color: string } => Boolean(line));
  if (lines.length === 0) return undefined;
  return {
    silent: true,
    symbol: 'none',
    data: lines.map(({ yAxis, name, color }) => ({
      yAxis,
      lineStyle: { color, type: 'dashed', width: 1.5 },
      label: {
        formatter: `${name} ${number(yAxis)}`,
        position: 'insideStartTop',
        color,
        fontSize: size,
      },
    })),
  };
}

function options(
  spec: ChartSpec,
  words: Marks,
  size: number,
  height: number,
): Record<string, unknown> {
  const ink = token('text');
  const soft = token('text-soft');
  const line = token('line');
  const colours = [1, 2, 3, 4, 5, 6].map((at) => token(`series-${at}`));
  // Named, not inherited: widths are measured apart from the page.
  const textStyle = { color: ink, fontFamily: token('font'), fontSize: size };
  const tooltip = {
    renderMode: 'richText',
    confine: true,
    backgroundColor: token('surface'),
    borderColor: line,
    textStyle,
    valueFormatter: (value: unknown) =>
      typeof value === 'number' ? `${number(value)}${spec.unit ? ` ${spec.unit}` : ''}` : '—',
  };
  const common = { color: colours, textStyle, animation: false, aria: { enabled: false } };
  if (spec.kind === 'pie') {
    const values = spec.series[0]?.values ?? [];
    const data = spec.labels.map((name, at) => ({ name, value: values[at] ?? 0 }));
    const label = { color: ink, formatter: '{b} {d}%' };
    const border = { borderColor: token('surface'), borderWidth: 2 };
    const pie = { type: 'pie', radius: ['35%', '68%'], data, label, itemStyle: border };
    return { ...common, tooltip: { ...tooltip, trigger: 'item' }, series: [pie] };
  }
  const first = moment(spec.labels[0] ?? 0).getTime();
  const span = moment(spec.labels.at(-1) ?? 0).getTime() - first;
  const shown = spec.time ? spec.labels.map((text) => timeLabel(text, span)) : spec.labels;
  const scatter = spec.kind === 'scatter';
  const lying = lies(spec);
  // Each name where there is a line for it; else as many as do not overlap.
  const roomy = lying && height / spec.labels.length >= size * NAME_LINE;
  const category = {
    type: scatter ? 'value' : 'category',
    ...(scatter ? { scale: true } : { data: shown }),
    ...(lying ? { inverse: true } : {}),
    axisLabel: {
      color: soft,
      ...(roomy ? { interval: 0 } : { hideOverlap: true }),
      fontFamily: token('font'),
      fontSize: size,
      width: Math.round(size * 9),
      overflow: 'truncate',
    },
    axisLine: { lineStyle: { color: line } },
    axisTick: { show: false },
    splitLine: { show: false },
  };
  const value = {
    type: 'value',
    name: spec.unit,
    nameTextStyle: { color: soft, align: 'left', fontSize: size },
    axisLabel: { color: soft, fontSize: size, formatter: (figure: number) => compact(figure) },
    splitLine: { lineStyle: { color: line } },
    // As many lines as there is room for their figures.
    ...(lying ? {} : { splitNumber: Math.min(5, Math.max(2, Math.floor(height / (size * 4)))) }),
  };
  return {
    ...common,
    tooltip: { ...tooltip, trigger: scatter ? 'item' : 'axis' },
    legend: spec.series.length > 1 ? { top: 0, textStyle, type: 'plain' } : { show: false },
    grid: {
      left: 8,
      right: lying ? Math.round(size * 3.5) : 20,
      top: Math.round(spec.series.length > 1 ? size * 3.6 : size * 2.5),
      bottom: 4,
      containLabel: true,
    },
    xAxis: lying ? value : category,
    yAxis: lying ? category : value,
    series: spec.series.map((series, at) => ({
      name: series.name,
      type: spec.kind,
      data: scatter
        ? series.values.map((y, place) => [Number(spec.labels[place]), y])
        : series.values,
      symbol: SYMBOLS[at % SYMBOLS.length],
      symbolSize: scatter ? 7 : 6,
      showSymbol: series.values.length <= POINTS_WITH_SYMBOLS_MAX,
      connectNulls: false,
      lineStyle: { width: 2, type: DASHES[at % DASHES.length] },
      barMaxWidth: 34,
      ...(at === 0 && !lying ? { markLine: marks(spec, words, size) } : {}),
    })),
  };
}

export interface Drawing {
  show: (spec: ChartSpec, words: Marks) => void;
  fit: () => void;
  end: () => void;
}

export function begin(element: HTMLElement): Drawing {
  const chart: EChartsType = init(element, null, { renderer: 'svg' });
  return {
    show: (spec, words) => {
      // A wall asks for larger letters than a desk.
      const asked = getComputedStyle(element).getPropertyValue('--chart-text');
      const size = Number.parseFloat(asked) || TEXT_PX;
      chart.setOption(options(spec, words, size, element.clientHeight), { notMerge: true });
    },
    fit: () => chart.resize(),
    end: () => chart.dispose(),
  };
}
