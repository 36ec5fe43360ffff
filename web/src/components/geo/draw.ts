// Rows with a geometry on a plain map: the city's area outlines as far as the reader may see them,
// and the rows over them.
import type { GeoJSONSource, Map as MapLibre, StyleSpecification } from 'maplibre-gl';
import { token } from '@/app/theme';
import { maplibre } from './engine';
import type { Bounds, Features } from './features';

export interface Drawn {
  show: (features: Features) => void;
  recolour: () => void;
  end: () => void;
}

export interface BaseLayer {
  id: string;
  geometry: string;
  minzoom: number;
  maxzoom: number;
}

const FIT = { padding: 40, maxZoom: 15, animate: false } as const;
const EMPTY = { type: 'FeatureCollection' as const, features: [] };

function style(base: readonly BaseLayer[]): StyleSpecification {
  const lines = base.filter((layer) => layer.geometry !== 'point');
  return {
    version: 8,
    sources: {
      rows: { type: 'geojson', data: EMPTY },
      ...Object.fromEntries(
        lines.map((layer) => [
          layer.id,
          {
            type: 'vector' as const,
            tiles: [`${location.origin}/tiles/${layer.id}/{z}/{x}/{y}`],
            minzoom: layer.minzoom,
            maxzoom: layer.maxzoom,
          },
        ]),
      ),
    },
    layers: [
      { id: 'ground', type: 'background', paint: { 'background-color': token('sunken') } },
      ...lines.map((layer) => ({
        id: `base-${layer.id}`,
        type: 'line' as const,
        source: layer.id,
        'source-layer': layer.id,
        paint: { 'line-color': token('line-strong'), 'line-width': 0.8, 'line-opacity': 0.6 },
      })),
      {
        id: 'rows-fill',
        type: 'fill',
        source: 'rows',
        filter: ['==', ['geometry-type'], 'Polygon'],
        paint: { 'fill-color': token('series-1'), 'fill-opacity': 0.25 },
      },
      {
        id: 'rows-line',
        type: 'line',
        source: 'rows',
        filter: ['!=', ['geometry-type'], 'Point'],
        paint: { 'line-color': token('series-1'), 'line-width': 2 },
      },
      {
        id: 'rows-point',
        type: 'circle',
        source: 'rows',
        filter: ['==', ['geometry-type'], 'Point'],
        paint: {
          'circle-radius': 5,
          'circle-color': token('series-2'),
          'circle-stroke-color': token('surface'),
          'circle-stroke-width': 1.5,
        },
      },
    ],
  };
}

const ROW_LAYERS = ['rows-point', 'rows-line', 'rows-fill'];

/** `pointed` hears which row is clicked. */
export function begin(
  element: HTMLElement,
  base: readonly BaseLayer[],
  centre: readonly [number, number],
  pointed: (id: number) => void,
): Drawn {
  const map: MapLibre = new maplibre.Map({
    container: element,
    style: style(base),
    center: [...centre],
    zoom: 9,
    attributionControl: false,
    // Typing in the page must not move the map; arrow keys do once it has the focus.
    keyboard: true,
  });
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), 'top-right');
  map.addControl(new maplibre.ScaleControl(), 'bottom-left');
  map.on('click', (event) => {
    const [hit] = map.queryRenderedFeatures(event.point, { layers: ROW_LAYERS });
    if (typeof hit?.id === 'number') pointed(hit.id);
  });
  let last: Features | null = null;

  function put(): void {
    const source = map.getSource<GeoJSONSource>('rows');
    if (!last || !source) return;
    source.setData({ type: 'FeatureCollection', features: last.features } as never);
  }

  function fit(bounds: Bounds): void {
    map.fitBounds(bounds, FIT);
  }

  return {
    show: (features) => {
      last = features;
      if (map.isStyleLoaded()) put();
      else map.once('load', put);
      if (features.bounds) fit(features.bounds);
    },
    recolour: () => {
      map.setStyle(style(base));
      map.once('styledata', put);
    },
    end: () => map.remove(),
  };
}
