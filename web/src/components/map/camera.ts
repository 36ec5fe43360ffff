// Where the map stands, as text for the address: `30.6574,104.0657,12.30`.
import type { Box } from '@/api/areas';

export interface Camera {
  lon: number;
  lat: number;
  zoom: number;
}

export const ZOOM_MAX = 19;

export function cameraText({ lon, lat, zoom }: Camera): string {
  return `${lat.toFixed(5)},${lon.toFixed(5)},${zoom.toFixed(2)}`;
}

export function cameraOf(text: unknown): Camera | null {
  if (typeof text !== 'string') return null;
  const [lat, lon, zoom, ...more] = text
    .split(',')
    .map((word) => (word ? Number(word) : Number.NaN));
  if (lat === undefined || lon === undefined || zoom === undefined || more.length > 0) return null;
  const sound = Math.abs(lat) <= 85 && Math.abs(lon) <= 180 && zoom >= 0 && zoom <= ZOOM_MAX;
  return sound ? { lon, lat, zoom } : null;
}

/** The box around a geometry; null where it has no coordinates. */
export function boxOf(coordinates: unknown): Box | null {
  let box: Box | null = null;
  const walk = (part: unknown): void => {
    if (!Array.isArray(part)) return;
    const [x, y] = part as unknown[];
    if (typeof x === 'number' && typeof y === 'number') {
      box = box
        ? [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)]
        : [x, y, x, y];
      return;
    }
    part.forEach(walk);
  };
  walk(coordinates);
  return box;
}
