// How devices and groups of them look on the map: one device is its state's shape, a group a ring of
// the shares of its states around the number of them.
import type { Cluster, DeviceBrief, DeviceState, SensorMap } from '@/api/sensing';
import { type Mark, svg } from '@/components/map/marks';
import { arc, COLOUR_OF, PATH_OF, ringOf, SHAPE_OF, statesOf } from './state';

const SIGN_PX = 26;
const RING_LEAST_PX = 36;
const RING_MOST_PX = 60;
const RING_WIDTH_PX = 6;

/** The side of a group's picture: larger for more devices, by powers of ten. */
export function ringSide(n: number): number {
  return Math.round(Math.min(RING_MOST_PX, RING_LEAST_PX + 6 * Math.log10(Math.max(n, 1))));
}

/** The group without the states that are not asked for; null where nothing is left. */
export function narrowed(cluster: Cluster, state: string | null | undefined): Cluster | null {
  if (!state) return cluster;
  const n = cluster.states[state as DeviceState] ?? 0;
  return n > 0 ? { ...cluster, n, states: { [state]: n } } : null;
}

export function placeOf(device: DeviceBrief): { lon: number; lat: number } | null {
  if (device.geometry) return { lon: device.geometry[0], lat: device.geometry[1] };
  const { lon, lat } = device;
  return lon === undefined || lat === undefined ? null : { lon, lat };
}

export function drawSign(state: DeviceState, side: number = SIGN_PX): Element {
  const path = svg('path', {
    d: PATH_OF[SHAPE_OF[state]],
    fill: `var(--${COLOUR_OF[state]})`,
    stroke: 'var(--surface)',
    'stroke-width': 2,
    'paint-order': 'stroke',
  });
  const size = { width: side, height: side, viewBox: '-1 -1 26 26' };
  return svg('svg', size, [path]);
}

function short(n: number): string {
  return n < 1000 ? String(n) : `${Math.round(n / 100) / 10}k`;
}

export function drawRing(cluster: Cluster): Element {
  const side = ringSide(cluster.n);
  const middle = side / 2;
  const radius = middle - RING_WIDTH_PX / 2 - 1;
  const ring = ringOf(cluster.states).map(({ state, from, to }) =>
    svg('path', {
      d: arc(from, to, radius, middle),
      fill: 'none',
      stroke: `var(--${COLOUR_OF[state]})`,
      'stroke-width': RING_WIDTH_PX,
    }),
  );
  const silent = (cluster.states.silent ?? 0) > 0;
  const number = svg(
    'text',
    {
      x: middle,
      y: silent ? middle + 1 : middle + 4.5,
      'text-anchor': 'middle',
      fill: 'var(--text)',
      'font-size': 12,
      'font-weight': 700,
    },
    [short(cluster.n)],
  );
  // That some are silent is told by the triangle, too.
  const warning = svg('path', {
    d: PATH_OF.triangle,
    fill: 'var(--bad)',
    transform: `translate(${middle - 4} ${middle + 3.5}) scale(0.34)`,
  });
  const ground = svg('circle', { cx: middle, cy: middle, r: middle - 0.5, fill: 'var(--surface)' });
  const size = { width: side, height: side, viewBox: `0 0 ${side} ${side}` };
  return svg('svg', size, [ground, ...ring, number, ...(silent ? [warning] : [])]);
}

export interface MarkWords {
  device: (device: DeviceBrief) => string;
  cluster: (cluster: Cluster) => string;
}

/** What is pressed: a device by its number, a group by its place. */
export const deviceKey = (thing: number): string => `d ${thing}`;
export const clusterKey = ({ lon, lat }: Cluster): string => `c ${lon} ${lat}`;

export function marksOn(
  map: SensorMap,
  state: string | null | undefined,
  words: MarkWords,
): Mark[] {
  const groups = map.clusters.flatMap((whole): Mark[] => {
    const cluster = narrowed(whole, state);
    if (!cluster) return [];
    const look = statesOf(cluster.states)
      .map(([name, n]) => `${name}${n}`)
      .join();
    return [
      {
        key: clusterKey(whole),
        lon: whole.lon,
        lat: whole.lat,
        look,
        title: words.cluster(cluster),
        draw: () => drawRing(cluster),
      },
    ];
  });
  const single = map.devices.flatMap((device): Mark[] => {
    const place = placeOf(device);
    if (!place || (state && device.state !== state)) return [];
    return [
      {
        key: deviceKey(device.thing),
        ...place,
        look: device.state,
        title: words.device(device),
        draw: () => drawSign(device.state),
      },
    ];
  });
  return [...groups, ...single];
}
