// What several ways of drawing share.
import type { DataDrivenPropertyValueSpecification, ExpressionSpecification } from 'maplibre-gl';
import type { Palette } from './palette';

export type Expression = ExpressionSpecification;
export type Value<T> = DataDrivenPropertyValueSpecification<T>;

/** The reader's own fonts: no letters are fetched. */
export const FONT = [
  'system-ui',
  'PingFang SC',
  'Microsoft YaHei',
  'Noto Sans CJK SC',
  'sans-serif',
];

/** A size that grows with the zoom. */
export const zoomed = (...stops: [number, unknown][]): Expression =>
  ['interpolate', ['exponential', 1.4], ['zoom'], ...stops.flat()] as unknown as Expression;

export const halo = (palette: Palette, colour: string): Record<string, string | number> => ({
  'text-color': colour,
  'text-halo-color': palette.halo,
  'text-halo-width': 1.6,
});
