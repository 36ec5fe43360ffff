// What lies over the layers: the area one looks at and those below it, and the thing that was chosen.
import type { FilterSpecification, LayerSpecification, SourceSpecification } from 'maplibre-gl';
import type { Feature, FeatureCollection, Geometry } from 'geojson';
import type { MapLayer } from '@/api/map';
import { type Expression, FONT, halo } from './parts';
import type { StyleState } from './style';

export interface Overlay {
  /** The area that one looks at. */
  outline: Feature | null;
  /**
   * Those right below it. Each has its `code`, and its `name` to be written; it may have a `note`
   * to be written under that, and a `shade` from 0 to 1.
   */
  children: FeatureCollection | null;
  /** The object that was chosen. */
  chosen: Geometry | null;
}

const EMPTY: FeatureCollection = { type: 'FeatureCollection', features: [] };
const one = (geometry: Geometry | null): FeatureCollection =>
  geometry
    ? { type: 'FeatureCollection', features: [{ type: 'Feature', geometry, properties: {} }] }
    : EMPTY;

/** Everything but the area: the world with a hole. */
function outside(area: Feature | null): Geometry | null {
  const geometry = area?.geometry;
  const world = [
    [-180, -85],
    [180, -85],
    [180, 85],
    [-180, 85],
    [-180, -85],
  ];
  if (geometry?.type === 'Polygon') {
    return { type: 'Polygon', coordinates: [world, ...geometry.coordinates.slice(0, 1)] };
  }
  if (geometry?.type !== 'MultiPolygon') return null;
  const rings = geometry.coordinates.flatMap((polygon) => polygon.slice(0, 1));
  return { type: 'Polygon', coordinates: [world, ...rings] };
}

/** The middle of an outline: its centre of gravity, by the shoelace formula. */
export function middleOf(geometry: Geometry): [number, number] | null {
  const rings =
    geometry.type === 'Polygon'
      ? [geometry.coordinates[0] ?? []]
      : geometry.type === 'MultiPolygon'
        ? geometry.coordinates.map((polygon) => polygon[0] ?? [])
        : [];
  const ring = rings.sort((a, b) => b.length - a.length)[0];
  const first = ring?.[0];
  if (!ring || !first) return null;
  const [x0 = 0, y0 = 0] = first;
  let [area, x, y] = [0, 0, 0];
  for (let at = 0; at + 1 < ring.length; at += 1) {
    const [ax = 0, ay = 0] = ring[at] ?? [];
    const [bx = 0, by = 0] = ring[at + 1] ?? [];
    // Relative to the first corner: degrees are large, areas are small.
    const cross = (ax - x0) * (by - y0) - (bx - x0) * (ay - y0);
    area += cross;
    x += (ax + bx - 2 * x0) * cross;
    y += (ay + by - 2 * y0) * cross;
  }
  return area === 0 ? [x0, y0] : [x0 + x / (3 * area), y0 + y / (3 * area)];
}

/** Where the names of the areas below are written. */
function namesOf(children: FeatureCollection | null): FeatureCollection {
  const features = (children?.features ?? []).flatMap((child): Feature[] => {
    const at = middleOf(child.geometry);
    if (!at) return [];
    const geometry = { type: 'Point' as const, coordinates: at };
    return [{ type: 'Feature', geometry, properties: child.properties }];
  });
  return { type: 'FeatureCollection', features };
}

export function overlaySources({
  outline,
  children,
  chosen,
}: Overlay): Record<string, SourceSpecification> {
  return {
    'over/outside': { type: 'geojson', data: one(outside(outline)) },
    'over/outline': { type: 'geojson', data: one(outline?.geometry ?? null) },
    'over/children': { type: 'geojson', data: children ?? EMPTY },
    'over/names': { type: 'geojson', data: namesOf(children) },
    'over/chosen': { type: 'geojson', data: one(chosen) },
  };
}

const SHADE: Expression = ['*', 0.5, ['coalesce', ['get', 'shade'], 0]];

/** How the areas below are drawn while one of them is pointed at. */
export function hoverPaint(hovered: string | null, scale: number) {
  const here: Expression = ['==', ['get', 'code'], hovered ?? ''];
  const choice = (yes: number, no: number): Expression => ['case', here, yes, no];
  return {
    fill: { 'fill-opacity': ['+', choice(0.2, 0.03), SHADE] as Expression },
    line: { 'line-width': choice(3 * scale, 1.1 * scale), 'line-opacity': choice(1, 0.6) },
  };
}

export function underSigns({ palette, scale, hovered }: StyleState): LayerSpecification[] {
  const children = { source: 'over/children' } as const;
  const paint = hoverPaint(hovered, scale);
  return [
    {
      id: 'over/children',
      type: 'fill',
      ...children,
      paint: { 'fill-color': palette.inside, ...paint.fill },
    },
    {
      id: 'over/children-line',
      type: 'line',
      ...children,
      layout: { 'line-join': 'round' },
      paint: { 'line-color': palette.inside, ...paint.line },
    },
  ];
}

export function overSigns({ palette, scale }: StyleState): LayerSpecification[] {
  const source = { source: 'over/chosen' } as const;
  return [
    {
      id: 'over/outside',
      type: 'fill',
      source: 'over/outside',
      paint: { 'fill-color': palette.land, 'fill-opacity': 0.55 },
    },
    {
      id: 'over/outline',
      type: 'line',
      source: 'over/outline',
      layout: { 'line-join': 'round' },
      paint: { 'line-color': palette.inside, 'line-width': 3.4 * scale },
    },
    {
      id: 'over/names',
      type: 'symbol',
      source: 'over/names',
      layout: {
        'text-field': [
          'concat',
          ['coalesce', ['get', 'name'], ''],
          ['case', ['to-boolean', ['get', 'note']], ['concat', '\n', ['get', 'note']], ''],
        ],
        'text-font': FONT,
        'text-size': 14 * scale,
        'text-max-width': 7,
      },
      paint: halo(palette, palette.name),
    },
    {
      id: 'over/chosen-line',
      type: 'line',
      ...source,
      filter: ['!=', ['geometry-type'], 'Point'],
      paint: { 'line-color': palette.chosen, 'line-width': 3 * scale },
    },
    {
      id: 'over/chosen-ring',
      type: 'circle',
      ...source,
      filter: ['==', ['geometry-type'], 'Point'],
      paint: {
        'circle-radius': 17 * scale,
        'circle-color': palette.chosen,
        'circle-opacity': 0.14,
        'circle-stroke-color': palette.chosen,
        'circle-stroke-width': 3 * scale,
      },
    },
  ];
}

/** Not the names that are written for the area and those below it. */
export function unwritten(layer: MapLayer, { outline, children }: Overlay): FilterSpecification {
  const codes = (children?.features ?? []).map((child) => child.properties?.code as string);
  const own = outline?.properties?.code as string | undefined;
  const key = layer.key[0] ?? 'code';
  return ['!', ['in', ['get', key], ['literal', own ? [...codes, own] : codes]]];
}
