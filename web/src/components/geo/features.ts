// Rows with a geometry as what a map draws.
import type { Column, Row } from '@/api/types';
import { fromWkb, type Geometry, looksLikeWkb } from './wkb';

export interface Feature {
  type: 'Feature';
  id: number;
  properties: Record<string, string | number | boolean | null>;
  geometry: Geometry;
}

export type Bounds = [number, number, number, number];

export interface Features {
  features: Feature[];
  bounds: Bounds | null;
}

const FEATURES_MAX = 20_000;

export function geometryColumn(columns: readonly Column[], rows: readonly Row[]): string | null {
  const found = columns.find((column) => {
    const value = rows.find((row) => row[column.name] != null)?.[column.name];
    return looksLikeWkb(value);
  });
  return found?.name ?? null;
}

function widen(bounds: Bounds, coordinates: unknown): void {
  if (!Array.isArray(coordinates)) return;
  const [x, y] = coordinates as unknown[];
  if (typeof x === 'number' && typeof y === 'number') {
    bounds[0] = Math.min(bounds[0], x);
    bounds[1] = Math.min(bounds[1], y);
    bounds[2] = Math.max(bounds[2], x);
    bounds[3] = Math.max(bounds[3], y);
    return;
  }
  for (const part of coordinates) widen(bounds, part);
}

function widenBy(bounds: Bounds, geometry: Geometry): void {
  if (geometry.type !== 'GeometryCollection') widen(bounds, geometry.coordinates);
  else for (const member of geometry.geometries) widenBy(bounds, member);
}

export function featuresOf(rows: readonly Row[], column: string): Features {
  const bounds: Bounds = [Infinity, Infinity, -Infinity, -Infinity];
  const features: Feature[] = [];
  for (const [id, row] of rows.slice(0, FEATURES_MAX).entries()) {
    const value = row[column];
    const geometry = looksLikeWkb(value) ? fromWkb(value) : null;
    if (!geometry) continue;
    widenBy(bounds, geometry);
    const kept = Object.entries(row).filter(
      ([name, one]) => name !== column && (one === null || typeof one !== 'object'),
    );
    const properties = Object.fromEntries(kept) as Feature['properties'];
    features.push({ type: 'Feature', id, properties, geometry });
  }
  return { features, bounds: features.length > 0 ? bounds : null };
}
