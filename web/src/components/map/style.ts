// From what the server says of the map to what MapLibre draws. Everything is our own: tiles from
// `/tiles`, signs from `signs.ts`, letters from the reader's own fonts. Nothing here touches the page.
import type { LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl';
import type { LayerClass, MapLayer, MapView } from '@/api/map';
import type { Text } from '@/api/types';
import type { Language } from '@/i18n';
import { type Overlay, overlaySources, overSigns, underSigns, unwritten } from './overlay';
import { hueOf, type Palette } from './palette';
import { type Expression, FONT, halo, type Value, zoomed } from './parts';
import { isSign, nameOf, SHAPES, type Shape, type SignName } from './signs';

export interface StyleState {
  view: MapView;
  /** Ids of the layers that are drawn, those of the base map among them. */
  shown: ReadonlySet<string>;
  language: Language;
  /** The moment that is shown; null is now. */
  at: string | null;
  /** Where tiles come from: the page's own origin. */
  origin: string;
  palette: Palette;
  overlay: Overlay;
  /** The code of the area below that the pointer or the focus is on. */
  hovered: string | null;
  /** How much larger letters and signs are than on a desk. */
  scale: number;
}

/** From here on points are signs; above that they are dots. */
export const SIGNS_FROM_ZOOM = 12;
const PICTURES_FROM_ZOOM = 13.5;
const TITLES_FROM_ZOOM = 15;

export const sourceOf = (layer: MapLayer): string => `tiles/${layer.id}`;
/** The layer of the pack that a drawn layer belongs to. */
export const ownerOf = (id: string): string => id.split('/')[0] ?? id;

export function kindOf(layer: MapLayer): 'fill' | 'line' | 'circle' | 'label' {
  const byShape = { point: 'circle', line: 'line', polygon: 'fill' } as const;
  return layer.style.kind ?? byShape[layer.geometry];
}

/** The shape that tells a layer of points from the others. */
export function shapeOf(layer: MapLayer, all: readonly MapLayer[]): Shape {
  if (layer.style.shape) return layer.style.shape;
  const points = all.filter((one) => kindOf(one) === 'circle');
  const place = points.findIndex((one) => one.id === layer.id);
  return SHAPES[Math.max(0, place) % SHAPES.length] ?? 'circle';
}

type Leaf = string | number;

/** The levels of areas, the largest first; a pack may call them otherwise. */
const LEVELS: readonly LayerClass[] = [
  { value: 'city', title: { zh: '市', en: 'City' } },
  { value: 'district', title: { zh: '区市县', en: 'District' } },
  { value: 'street', title: { zh: '街道（镇）', en: 'Street or town' } },
  { value: 'community', title: { zh: '社区（村）', en: 'Community or village' } },
  { value: 'grid', title: { zh: '一般网格', en: 'Grid' } },
  { value: 'micro_grid', title: { zh: '微网格', en: 'Micro grid' } },
];

/** Names have the classes of what they are the names of, where they list none of their own. */
export function classesOf(layer: MapLayer, all: readonly MapLayer[]): LayerClass[] {
  const { class: field, classes } = layer.style;
  if (classes?.length || !field) return classes ?? [];
  const same = all.find((one) => {
    return one.dataset === layer.dataset && one.style.class === field && one.style.classes?.length;
  });
  return same?.style.classes ?? (field === 'level' ? [...LEVELS] : []);
}

/** Whether a layer is the one of areas: outlines by level. */
export function isAreas(layer: MapLayer): boolean {
  return layer.geometry === 'polygon' && kindOf(layer) === 'line';
}

/** A value by the class of a feature. */
function byClass<T extends Leaf>(
  layer: MapLayer,
  of: (value: string, rank: number) => T,
  other: T,
): Expression | T {
  const { class: field, classes } = layer.style;
  if (!field || !classes?.length) return other;
  const cases = classes.flatMap(({ value }, rank) => [value, of(value, rank)]);
  return ['match', ['get', field], ...cases, other] as unknown as Expression;
}

/** The colour of a class, or of the whole layer. */
export function colourOf(layer: MapLayer, value: string | null, palette: Palette): string {
  const one = layer.style.classes?.find((known) => known.value === value);
  return palette[hueOf(one?.colour ?? layer.style.colour)];
}

export function iconOf(layer: MapLayer, value: string | null): SignName {
  const name = layer.style.classes?.find((known) => known.value === value)?.icon;
  return name && isSign(name) ? name : 'dot';
}

function titleOf(layer: MapLayer, language: Language): Expression | string {
  const { title_field: zh, title_field_en: en } = layer;
  const fields = (language === 'en' ? [en, zh] : [zh, en]).filter((name) => name != null);
  if (fields.length === 0) return '';
  return ['coalesce', ...fields.map((name) => ['get', name]), ''] as unknown as Expression;
}

// ——— one function for each way of drawing ———

function fills(layer: MapLayer, { palette, scale, language }: StyleState): LayerSpecification[] {
  const base = palette[layer.style.colour as keyof Palette];
  const plain = base && !layer.style.classes?.length ? base : null;
  const colour =
    plain ??
    byClass(layer, (value) => colourOf(layer, value, palette), colourOf(layer, null, palette));
  const common = { source: sourceOf(layer), 'source-layer': layer.id };
  const drawn: LayerSpecification[] = [
    {
      id: `${layer.id}/fill`,
      type: 'fill',
      ...common,
      paint: { 'fill-color': colour as Value<string>, 'fill-opacity': plain ? 1 : 0.34 },
    },
  ];
  if (plain) return drawn;
  drawn.push({
    id: `${layer.id}/edge`,
    type: 'line',
    ...common,
    paint: { 'line-color': colour as Value<string>, 'line-width': 1.4 },
  });
  // Colour alone would not say what a piece of land is for.
  const names = classNames(layer, language);
  drawn.push({
    id: `${layer.id}/name`,
    type: 'symbol',
    ...common,
    minzoom: TITLES_FROM_ZOOM,
    layout: { 'text-field': names as Value<string>, 'text-font': FONT, 'text-size': 12 * scale },
    paint: halo(palette, palette.name),
  });
  return drawn;
}

/** What a class is called: by the map's own word, else by its field's, else, of areas, by ours. */
export function classTitle(layer: MapLayer, value: string): Text | undefined {
  const { class: field, classes } = layer.style;
  const own = classes?.find((one) => one.value === value)?.title;
  const labels = layer.fields.find((one) => one.name === field)?.labels;
  const level = field === 'level' ? LEVELS.find((one) => one.value === value)?.title : undefined;
  return own ?? labels?.[value] ?? level;
}

export function className(layer: MapLayer, value: string, language: Language): string {
  const title = classTitle(layer, value);
  return title ? title[language] || title.zh : value;
}

/** The name of a feature's class. */
function classNames(layer: MapLayer, language: Language): Expression | string {
  const { class: field, classes = [] } = layer.style;
  const labels = layer.fields.find((one) => one.name === field)?.labels ?? {};
  const values = new Set([...classes.map((one) => one.value), ...Object.keys(labels)]);
  if (!field || values.size === 0) return '';
  const cases = [...values].flatMap((value) => [value, className(layer, value, language)]);
  return ['match', ['get', field], ...cases, ''] as unknown as Expression;
}

/** Streets: the first classes are the widest, and the first two have a colour of their own. */
function streets(layer: MapLayer, { palette, scale }: StyleState): LayerSpecification[] {
  const width = (factor: number, extra: number): Expression => {
    const at = (size: number): unknown =>
      byClass(layer, (_, rank) => (size * factor) / (1 + rank * 0.42) + extra, size * 0.5 + extra);
    return zoomed([6, at(0.8)], [10, at(2)], [13, at(4.6)], [16, at(13)], [19, at(38)]);
  };
  const major = (yes: string, no: string): Value<string> =>
    byClass(layer, (_, rank) => (rank < 2 ? yes : no), no) as Value<string>;
  const sort = byClass(layer, (_, rank) => -rank, -9) as Value<number>;
  const layout = { 'line-cap': 'round', 'line-join': 'round', 'line-sort-key': sort } as const;
  const common = { source: sourceOf(layer), 'source-layer': layer.id, type: 'line' } as const;
  return [
    {
      id: `${layer.id}/case`,
      ...common,
      layout,
      paint: {
        'line-color': major(palette['street-major-case'], palette['street-case']),
        'line-width': width(scale, 1.5),
      },
    },
    {
      id: `${layer.id}/line`,
      ...common,
      layout,
      paint: {
        'line-color': major(palette['street-major'], palette.street),
        'line-width': width(scale, 0),
      },
    },
  ];
}

/** Outlines of areas: a layer for each level, since dashes do not vary within one. */
function boundaries(layer: MapLayer, { palette, scale }: StyleState): LayerSpecification[] {
  const field = layer.style.class;
  const common = { source: sourceOf(layer), 'source-layer': layer.id } as const;
  const levels = layer.style.classes ?? [];
  const lines = levels.map(({ value }, rank): LayerSpecification => {
    const size = scale * Math.max(2.6 - rank * 0.5, 0.7);
    return {
      id: `${layer.id}/${value}`,
      type: 'line',
      ...common,
      filter: ['==', ['get', field ?? ''], value],
      layout: { 'line-join': 'round' },
      paint: {
        'line-color': palette.boundary,
        'line-width': zoomed([6, size * 0.5], [14, size]),
        'line-opacity': rank < 2 ? 0.9 : 0.65,
        ...(rank < 2 ? {} : { 'line-dasharray': rank < 4 ? [4, 2] : [1.5, 2] }),
      },
    };
  });
  // Not seen, but found where one points: which area is here.
  lines.unshift({
    id: `${layer.id}/inside`,
    type: 'fill',
    ...common,
    paint: { 'fill-color': palette.land, 'fill-opacity': 0 },
  });
  if (levels.length > 0) return lines;
  const paint = { 'line-color': palette.boundary, 'line-width': 1.2 * scale };
  return [...lines, { id: `${layer.id}/line`, type: 'line', ...common, paint }];
}

function lines(layer: MapLayer, state: StyleState): LayerSpecification[] {
  const { palette, scale } = state;
  if (layer.geometry === 'polygon') return boundaries(layer, state);
  if (layer.style.colour === 'street') return streets(layer, state);
  const named = palette[layer.style.colour as keyof Palette];
  const colour =
    named ??
    byClass(layer, (value) => colourOf(layer, value, palette), colourOf(layer, null, palette));
  return [
    {
      id: `${layer.id}/line`,
      type: 'line',
      source: sourceOf(layer),
      'source-layer': layer.id,
      layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: {
        'line-color': colour as Value<string>,
        'line-width': zoomed([8, scale], [12, 1.8 * scale], [16, 4 * scale]),
        'line-opacity': 0.6,
      },
    },
  ];
}

/** Stations and the like: small rings that belong to the ground, not to what is asked about. */
function stops(layer: MapLayer, { palette, scale, language }: StyleState): LayerSpecification[] {
  const named = palette[layer.style.colour as keyof Palette] ?? colourOf(layer, null, palette);
  const common = { source: sourceOf(layer), 'source-layer': layer.id } as const;
  return [
    {
      id: `${layer.id}/dot`,
      type: 'circle',
      ...common,
      paint: {
        'circle-radius': zoomed([10, 1.8 * scale], [13, 3.4 * scale], [16, 5.5 * scale]),
        'circle-color': palette.street,
        'circle-stroke-color': named,
        'circle-stroke-width': 1.8 * scale,
      },
    },
    {
      id: `${layer.id}/name`,
      type: 'symbol',
      ...common,
      minzoom: 13.5,
      layout: {
        'text-field': titleOf(layer, language) as Value<string>,
        'text-font': FONT,
        'text-size': 11.5 * scale,
        'text-offset': [0, 0.7],
        'text-anchor': 'top',
        'text-padding': 6,
      },
      paint: halo(palette, palette['name-soft']),
    },
  ];
}

function points(layer: MapLayer, state: StyleState): LayerSpecification[] {
  const { palette, scale, language, view } = state;
  const shape = shapeOf(layer, view.layers);
  const fill = (value: string | null): string => colourOf(layer, value, palette);
  const sign = (value: string | null, picture: boolean): string =>
    nameOf({
      shape,
      fill: fill(value),
      ink: palette.ink,
      icon: picture ? iconOf(layer, value) : null,
    });
  const image = (picture: boolean): Expression | string =>
    byClass(layer, (value) => sign(value, picture), sign(null, picture));
  const common = { source: sourceOf(layer), 'source-layer': layer.id } as const;
  const none = SIGNS_FROM_ZOOM;
  return [
    {
      id: `${layer.id}/dot`,
      type: 'circle',
      ...common,
      maxzoom: none,
      paint: {
        'circle-color': byClass(layer, fill, fill(null)) as Value<string>,
        'circle-radius': zoomed([7, 1.5 * scale], [12, 4 * scale]),
        'circle-stroke-color': palette.ink,
        'circle-stroke-width': zoomed([8, 0.2], [12, 0.8]),
      },
    },
    {
      id: `${layer.id}/sign`,
      type: 'symbol',
      ...common,
      minzoom: none,
      layout: {
        'icon-image': [
          'step',
          ['zoom'],
          image(false),
          PICTURES_FROM_ZOOM,
          image(true),
        ] as unknown as Value<string>,
        'icon-size': zoomed([12, 0.44 * scale], [13.5, 0.7 * scale], [16, scale]),
        'icon-allow-overlap': true,
        'text-field': [
          'step',
          ['zoom'],
          '',
          TITLES_FROM_ZOOM,
          titleOf(layer, language),
        ] as unknown as Value<string>,
        'text-font': FONT,
        'text-size': 12 * scale,
        'text-offset': [0, 1.2],
        'text-anchor': 'top',
        'text-max-width': 9,
        'text-optional': true,
      },
      paint: halo(palette, palette.name),
    },
  ];
}

function labels(layer: MapLayer, state: StyleState): LayerSpecification[] {
  const { palette, scale, language, overlay } = state;
  const ranked = (first: number, step: number, least: number): Value<number> =>
    byClass(layer, (_, rank) => Math.max(first - rank * step, least), least) as Value<number>;
  const street = layer.style.colour === 'street';
  return [
    {
      id: `${layer.id}/name`,
      type: 'symbol',
      source: sourceOf(layer),
      'source-layer': layer.id,
      ...(street ? {} : { filter: unwritten(layer, overlay) }),
      layout: {
        'text-field': titleOf(layer, language) as Value<string>,
        'text-font': FONT,
        'text-size': street
          ? 11 * scale
          : (ranked(17 * scale, 1.7 * scale, 11 * scale) as Value<number>),
        'text-max-width': 8,
        'text-padding': street ? 50 : 5,
        'symbol-sort-key': byClass(layer, (_, rank) => rank, 99) as Value<number>,
      },
      paint: {
        ...halo(palette, palette.name),
        'text-color': byClass(
          layer,
          (_, rank) => (rank < 3 && !street ? palette.name : palette['name-soft']),
          palette['name-soft'],
        ) as Value<string>,
      },
    },
  ];
}

function layersOf(layer: MapLayer, base: boolean, state: StyleState): LayerSpecification[] {
  const kind = kindOf(layer);
  if (kind === 'fill') return fills(layer, state);
  if (kind === 'line') return lines(layer, state);
  if (kind === 'label') return labels(layer, state);
  return base ? stops(layer, state) : points(layer, state);
}

function tiles(layer: MapLayer, { origin, at, view }: StyleState): SourceSpecification {
  const moment = at ? `?as_of=${encodeURIComponent(at)}` : '';
  return {
    type: 'vector',
    tiles: [`${origin}/tiles/${encodeURIComponent(layer.id)}/{z}/{x}/{y}${moment}`],
    minzoom: layer.minzoom,
    maxzoom: layer.maxzoom,
    bounds: view.bounds,
  };
}

const DEPTHS = { fill: 0, line: 1, circle: 3, label: 4 } as const;

/** The whole style, the lowest layers first. */
export function styleOf(state: StyleState): StyleSpecification {
  const { view, shown, palette, overlay } = state;
  const all = [...view.base, ...view.layers];
  const whole = (layer: MapLayer): MapLayer => {
    return { ...layer, style: { ...layer.style, classes: classesOf(layer, all) } };
  };
  const drawn = [
    ...view.base.map((layer) => ({ layer: whole(layer), base: true })),
    ...view.layers.map((layer) => ({ layer: whole(layer), base: false })),
  ].filter(({ layer }) => shown.has(layer.id));
  const at = (depths: number[]): LayerSpecification[] =>
    drawn
      .filter(({ layer }) => depths.includes(DEPTHS[kindOf(layer)]))
      .flatMap(({ layer, base }) => layersOf(layer, base, state));
  return {
    version: 8,
    sources: {
      ...Object.fromEntries(drawn.map(({ layer }) => [sourceOf(layer), tiles(layer, state)])),
      ...overlaySources(overlay),
    },
    layers: [
      { id: 'land', type: 'background', paint: { 'background-color': palette.land } },
      ...at([0, 1]),
      ...underSigns(state),
      ...at([4]),
      ...at([3]),
      ...overSigns(state),
    ],
  };
}
