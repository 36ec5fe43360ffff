// The drawing of readings over time, by ECharts: a chunk of its own, loaded with the first such chart.
import { LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent, MarkAreaComponent, TooltipComponent } from 'echarts/components';
import { type EChartsType, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { token } from '@/app/theme';
import { language } from '@/i18n';
import { cityZone } from '@/i18n/format';
import { seriesOptions, type SeriesSpec } from './series';

use([GridComponent, LineChart, MarkAreaComponent, ScatterChart, SVGRenderer, TooltipComponent]);

const LOOKS = [1, 2, 3, 4, 5, 6] as const;

export interface SeriesDrawing {
  show: (spec: SeriesSpec) => void;
  fit: () => void;
  end: () => void;
}

export function beginSeries(element: HTMLElement): SeriesDrawing {
  const chart: EChartsType = init(element, null, { renderer: 'svg' });
  let last: SeriesSpec | null = null;

  function show(spec: SeriesSpec): void {
    last = spec;
    const look = {
      ink: token('text'),
      soft: token('text-soft'),
      line: token('line'),
      lineStrong: token('line-strong'),
      surface: token('surface'),
      warn: token('warn'),
      font: token('font'),
      colours: LOOKS.map((at) => token(`series-${at}`)),
      zone: cityZone.value,
      tag: language.value === 'zh' ? 'zh-CN' : 'en-GB',
      width: element.clientWidth,
    };
    chart.setOption(seriesOptions(spec, look), { notMerge: true });
  }

  return {
    show,
    fit: () => {
      chart.resize();
      // Another width has room for other marks of time.
      if (last) show(last);
    },
    end: () => chart.dispose(),
  };
}
