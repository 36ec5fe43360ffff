// MapLibre GL, in a chunk of its own with its worker and style sheet. Whoever draws a map takes it
// from here, so that the worker is set up once.
import 'maplibre-gl/dist/maplibre-gl.css';
import * as maplibre from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';

maplibre.setWorkerUrl(workerUrl);

export { maplibre };
