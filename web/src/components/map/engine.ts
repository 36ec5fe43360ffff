// The city's map in MapLibre: no turning or tilting, no looking far beyond the city, signs drawn when
// they are first asked for, letters from the reader's own fonts.
import type { MapLibreMap } from 'maplibre-gl';
import type { Box } from '@/api/areas';
import { maplibre } from '../geo/engine';
import { type Camera, ZOOM_MAX } from './camera';
import { drawHatch } from './hatch';
import { draw, signOf } from './signs';
import type { styleOf } from './style';

const ZOOM_MIN = 6;
/** How far beyond the city one may look, in degrees. */
const MARGIN = 1.2;
const FADE_MS = 120;
const FIT_ZOOM_MAX = 16.5;

export interface Start {
  container: HTMLElement;
  style: ReturnType<typeof styleOf>;
  bounds: Box;
  /** Where to begin: a camera, or a box to fit in. */
  camera: Camera | null;
  fit: Box;
  interactive: boolean;
  label: string;
  padding: number;
}

const corners = ([west, south, east, north]: Box): [[number, number], [number, number]] => [
  [west, south],
  [east, north],
];

export function start(of: Start): MapLibreMap {
  const [west, south, east, north] = of.bounds;
  const place = of.camera
    ? { center: [of.camera.lon, of.camera.lat] as [number, number], zoom: of.camera.zoom }
    : {
        bounds: corners(of.fit),
        fitBoundsOptions: { padding: of.padding, maxZoom: FIT_ZOOM_MAX },
      };
  const map = new maplibre.Map({
    container: of.container,
    style: of.style,
    ...place,
    minZoom: ZOOM_MIN,
    maxZoom: ZOOM_MAX,
    maxBounds: corners([west - MARGIN, south - MARGIN, east + MARGIN, north + MARGIN]),
    interactive: of.interactive,
    attributionControl: false,
    renderWorldCopies: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    fadeDuration: FADE_MS,
    localIdeographFontFamily:
      'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif',
    locale: { 'Map.Title': of.label },
    validateStyle: false,
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.setMissingStyleImageResolver((id) => {
    const sign = signOf(id);
    if (map.hasImage(id)) return;
    const drawn = sign ? draw(sign) : drawHatch(id);
    if (drawn) map.addImage(id, drawn.data, { pixelRatio: drawn.pixelRatio });
  });
  if (of.interactive) map.addControl(new maplibre.ScaleControl({ maxWidth: 110 }), 'bottom-right');
  return map;
}

export function fitBox(map: MapLibreMap, box: Box, padding: number, still: boolean): void {
  const options = { padding, maxZoom: FIT_ZOOM_MAX, duration: still ? 0 : 700 };
  map.fitBounds(corners(box), options);
}

export function cameraNow(map: MapLibreMap): Camera {
  const { lng, lat } = map.getCenter();
  return { lon: lng, lat, zoom: map.getZoom() };
}

/** What is in sight. */
export function boxNow(map: MapLibreMap): Box {
  const seen = map.getBounds();
  return [seen.getWest(), seen.getSouth(), seen.getEast(), seen.getNorth()];
}
