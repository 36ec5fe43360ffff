// What of the map is in the address: which layers, which ground, where the camera stands. Area and
// moment are there for every page (`app/scope`).
import type { LocationQuery } from 'vue-router';
import type { MapView } from '@/api/map';

const NONE = '-';

function list(value: LocationQuery[string] | undefined): string[] | null {
  if (typeof value !== 'string' || value === '') return null;
  return value === NONE ? [] : value.split(',');
}

/** Layers over the ground that are shown before anybody chooses. */
export function usual(view: MapView): string[] {
  const named = view.layers.filter((layer) => layer.style.shown);
  return (named.length > 0 ? named : view.layers.slice(0, 2)).map((layer) => layer.id);
}

export function shownLayers(view: MapView, query: LocationQuery): string[] {
  const asked = list(query.layers);
  if (!asked) return usual(view);
  return view.layers.map((layer) => layer.id).filter((id) => asked.includes(id));
}

export function shownGround(view: MapView, query: LocationQuery): string[] {
  const hidden = list(query.without) ?? [];
  return view.base.map((layer) => layer.id).filter((id) => !hidden.includes(id));
}

/** The words for the address; undefined where the usual needs none. */
export function layersText(view: MapView, shown: readonly string[]): string | undefined {
  const plain = usual(view);
  const same = plain.length === shown.length && plain.every((id) => shown.includes(id));
  if (same) return undefined;
  return shown.length === 0 ? NONE : shown.join(',');
}

export function groundText(view: MapView, shown: readonly string[]): string | undefined {
  const hidden = view.base.map((layer) => layer.id).filter((id) => !shown.includes(id));
  return hidden.length === 0 ? undefined : hidden.join(',');
}
