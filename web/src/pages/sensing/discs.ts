// What the map of coverage draws: discs around the sensors that count, and the blind spots, hatched.
import type { Feature, FeatureCollection, Polygon } from 'geojson';
import type { LayerSpecification, SourceSpecification } from 'maplibre-gl';
import type { Coverage, DeviceState, NextPlace } from '@/api/sensing';
import { hatchName } from '@/components/map/hatch';
import { type Mark, svg } from '@/components/map/marks';
import type { Palette } from '@/components/map/palette';
import { drawSign } from './marks';

const CORNERS = 40;
const DISCS_MAX = 4_000;
const SIGNS_MAX = 400;
/** Smaller than on the map of sensors: the discs are what matters. */
const SIGN_PX = 15;
/** The length of a degree of latitude on the sphere of mean radius 6371.0088 km. */
const METRES_PER_DEGREE = 111_195;

/** A circle on the ground as a polygon; near enough up to some tens of kilometres. */
export function disc(lon: number, lat: number, metres: number): Polygon {
  const up = metres / METRES_PER_DEGREE;
  const across = up / Math.cos((lat * Math.PI) / 180);
  const ring = Array.from({ length: CORNERS + 1 }, (_, at) => {
    const angle = (2 * Math.PI * (at % CORNERS)) / CORNERS;
    return [lon + across * Math.cos(angle), lat + up * Math.sin(angle)];
  });
  return { type: 'Polygon', coordinates: [ring] };
}

/** Who never spoke, is silent or retired watches nothing. */
export const counts = (state: DeviceState): boolean =>
  state === 'reporting' || state === 'connected';

const collection = (features: Feature[]): FeatureCollection => ({
  type: 'FeatureCollection',
  features,
});
const feature = (geometry: Polygon): Feature => ({ type: 'Feature', geometry, properties: {} });

export interface Drawn {
  sources: Record<string, SourceSpecification>;
  layers: LayerSpecification[];
}

export function layersFor(
  coverage: Coverage,
  chosen: readonly NextPlace[],
  palette: Palette,
): Drawn {
  const range = coverage.range_m ?? 0;
  const covering = coverage.devices.filter(([, , state]) => counts(state)).slice(0, DISCS_MAX);
  const now = covering.map(([lon, lat]) => feature(disc(lon, lat, range)));
  const next = chosen.map(({ lon, lat }) => feature(disc(lon, lat, range)));
  const blind = coverage.blind ?? collection([]);
  return {
    sources: {
      'cover/blind': { type: 'geojson', data: blind },
      'cover/now': { type: 'geojson', data: collection(now) },
      'cover/next': { type: 'geojson', data: collection(next) },
    },
    layers: [
      {
        id: 'cover/now',
        type: 'fill',
        source: 'cover/now',
        paint: { 'fill-color': palette.green, 'fill-opacity': 0.14 },
      },
      {
        id: 'cover/now-line',
        type: 'line',
        source: 'cover/now',
        paint: { 'line-color': palette.green, 'line-width': 1, 'line-opacity': 0.7 },
      },
      {
        id: 'cover/blind',
        type: 'fill',
        source: 'cover/blind',
        paint: { 'fill-pattern': hatchName(palette.red), 'fill-opacity': 0.75 },
      },
      {
        id: 'cover/blind-line',
        type: 'line',
        source: 'cover/blind',
        paint: { 'line-color': palette.red, 'line-width': 1.6 },
      },
      {
        id: 'cover/next-line',
        type: 'line',
        source: 'cover/next',
        paint: { 'line-color': palette.purple, 'line-width': 2.4, 'line-dasharray': [3, 2] },
      },
    ],
  };
}

/** A place that was chosen, with its number in the order of choice. */
export function drawPlace(at: number): Element {
  const pin = svg('circle', {
    cx: 14,
    cy: 14,
    r: 12,
    fill: 'var(--surface)',
    stroke: 'var(--series-3)',
    'stroke-width': 3,
  });
  const number = svg(
    'text',
    {
      x: 14,
      y: 18.5,
      'text-anchor': 'middle',
      'font-size': 13,
      'font-weight': 700,
      fill: 'var(--text)',
    },
    [String(at)],
  );
  return svg('svg', { width: 28, height: 28, viewBox: '0 0 28 28' }, [pin, number]);
}

export function marksFor(
  coverage: Coverage,
  chosen: readonly NextPlace[],
  title: { device: (state: DeviceState) => string; place: (at: number) => string },
): Mark[] {
  const signs = coverage.devices.slice(0, SIGNS_MAX).map(([lon, lat, state], at): Mark => ({
    key: `d ${at}`,
    lon,
    lat,
    look: state,
    title: title.device(state),
    draw: () => drawSign(state, SIGN_PX),
  }));
  const places = chosen.map(({ lon, lat }, at): Mark => ({
    key: `p ${at}`,
    lon,
    lat,
    look: `${at} ${lon} ${lat}`,
    title: title.place(at + 1),
    draw: () => drawPlace(at + 1),
  }));
  return [...signs, ...places];
}

/** How many devices of each kind of use there are, for the words beside the map. */
export function tally(coverage: Coverage): { covering: number; out: number } {
  const covering = coverage.devices.filter(([, , state]) => counts(state)).length;
  return { covering, out: coverage.devices.length - covering };
}
