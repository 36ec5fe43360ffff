// What is under the pointer, in the words of the pack's layers.
import type { MapGeoJSONFeature, MapLibreMap, PointLike } from 'maplibre-gl';
import type { Geometry } from 'geojson';
import type { MapLayer, MapView } from '@/api/map';
import { joinKey } from '@/api/map';
import type { Language } from '@/i18n';
import { isAreas, kindOf, ownerOf } from './style';

export interface Picked {
  layer: MapLayer;
  /** As in `/api/objects`; null where the key is not seen. */
  key: string | null;
  title: string;
  properties: Record<string, unknown>;
  geometry: Geometry;
}

export interface PickedArea {
  code: string;
  title: string;
}

const REACH_PX = 6;
const PICKED_MAX = 12;

/** Layers whose features are things: what is asked about, and of the ground what has a page. */
export function pickable(view: MapView): MapLayer[] {
  const ground = view.base.filter((layer) => kindOf(layer) !== 'line' && kindOf(layer) !== 'label');
  return [...view.layers, ...ground];
}

function drawnIds(map: MapLibreMap, owners: ReadonlySet<string>): string[] {
  return map
    .getLayersOrder()
    .filter((id) => owners.has(ownerOf(id)) && !id.endsWith('/name') && !id.endsWith('/edge'));
}

export function titleFrom(
  layer: MapLayer,
  properties: Record<string, unknown>,
  language: Language,
): string {
  const fields = [layer.title_field, layer.title_field_en];
  if (language === 'en') fields.reverse();
  const found = fields
    .map((name) => (name ? properties[name] : null))
    .find((value) => value != null);
  return found == null
    ? layer.key.map((name) => String(properties[name] ?? '')).join(' ')
    : String(found);
}

export function pickedFrom(
  layer: MapLayer,
  feature: { properties: Record<string, unknown> | null; geometry: Geometry },
  language: Language,
): Picked {
  const properties = feature.properties ?? {};
  const values = layer.key.map((name) => properties[name]);
  const whole = values.length > 0 && values.every((value) => value != null);
  return {
    layer,
    key: whole ? joinKey(values) : null,
    title: titleFrom(layer, properties, language),
    properties,
    geometry: feature.geometry,
  };
}

/** Each thing once, however many tiles it lies in. */
export function distinct(found: Picked[]): Picked[] {
  const seen = new Set<string>();
  return found.filter(({ layer, key, title }) => {
    const mark = `${layer.id} ${key ?? title}`;
    return !seen.has(mark) && seen.add(mark);
  });
}

function owned(
  found: MapGeoJSONFeature[],
  layers: readonly MapLayer[],
  language: Language,
): Picked[] {
  const byId = new Map(layers.map((layer) => [layer.id, layer]));
  return found.flatMap((feature) => {
    const layer = byId.get(ownerOf(feature.layer.id));
    return layer ? [pickedFrom(layer, feature, language)] : [];
  });
}

/** Things at a place: what is asked about before the ground, points before what lies around them. */
export function pickAt(
  map: MapLibreMap,
  view: MapView,
  at: { x: number; y: number },
  language: Language,
): Picked[] {
  const layers = pickable(view);
  const box: [PointLike, PointLike] = [
    [at.x - REACH_PX, at.y - REACH_PX],
    [at.x + REACH_PX, at.y + REACH_PX],
  ];
  const spots = new Set(layers.filter((one) => kindOf(one) === 'circle').map((one) => one.id));
  const wide = new Set(layers.filter((one) => kindOf(one) !== 'circle').map((one) => one.id));
  const near = map.queryRenderedFeatures(box, { layers: drawnIds(map, spots) });
  const under = map.queryRenderedFeatures([at.x, at.y], { layers: drawnIds(map, wide) });
  return distinct(owned([...near, ...under], layers, language)).slice(0, PICKED_MAX);
}

/** All things in view of the layers that are asked about. */
export function inView(map: MapLibreMap, view: MapView, language: Language): Picked[] {
  const owners = new Set(view.layers.map((layer) => layer.id));
  const ids = drawnIds(map, owners);
  if (ids.length === 0) return [];
  return distinct(owned(map.queryRenderedFeatures({ layers: ids }), view.layers, language));
}

/** The area to go to from here: one below the present one, else a neighbour of it. */
export function areaAt(
  map: MapLibreMap,
  view: MapView,
  at: { x: number; y: number },
  now: { code: string | null; level: string | null },
  language: Language,
): PickedArea | null {
  const layer = view.base.find(isAreas);
  const ids = ['over/children', ...(layer ? [`${layer.id}/inside`] : [])];
  const known = ids.filter((id) => map.getLayer(id));
  const found = map.queryRenderedFeatures([at.x, at.y], { layers: known });
  const level = layer?.style.class ?? 'level';
  const below = found.find((one) => one.layer.id === 'over/children');
  const beside = found.find((one) => {
    return one.properties[level] === now.level && areaCode(one.properties, layer) !== now.code;
  });
  const feature = below ?? beside;
  if (!feature) return null;
  const code = areaCode(feature.properties, layer);
  if (!code) return null;
  const title = layer ? titleFrom(layer, feature.properties, language) : code;
  return { code, title };
}

function areaCode(properties: Record<string, unknown>, layer: MapLayer | undefined): string | null {
  const value = properties[layer?.key[0] ?? 'code'] ?? properties.code;
  return value == null ? null : String(value);
}
