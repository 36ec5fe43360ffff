// The states of a device: in which order they are told, with which shape, and in which colour. A
// state is never told by its colour alone.
import type { Counts, DeviceState } from '@/api/sensing';

/** What needs somebody comes first. */
export const STATES: readonly DeviceState[] = [
  'silent',
  'reporting',
  'connected',
  'registered',
  'retired',
];

export type StateShape = 'circle' | 'square' | 'triangle' | 'diamond' | 'cross';

export const SHAPE_OF: Record<DeviceState, StateShape> = {
  reporting: 'circle',
  connected: 'square',
  silent: 'triangle',
  registered: 'diamond',
  retired: 'cross',
};

/** Design tokens, each with a contrast of at least 3 : 1 to any ground. */
export const COLOUR_OF: Record<DeviceState, string> = {
  reporting: 'ok',
  connected: 'series-1',
  silent: 'bad',
  registered: 'series-2',
  retired: 'line-strong',
};

/** Outlines on a grid of 24. */
export const PATH_OF: Record<StateShape, string> = {
  circle: 'M12 3a9 9 0 1 0 .01 0z',
  square: 'M4 4h16v16H4z',
  triangle: 'M12 2.5l10 18.5H2z',
  diamond: 'M12 1.5L22.5 12 12 22.5 1.5 12z',
  cross: 'M6 2.5l6 6 6-6 3.5 3.5-6 6 6 6-3.5 3.5-6-6-6 6L2.5 18l6-6-6-6z',
};

export const isState = (word: unknown): word is DeviceState =>
  typeof word === 'string' && word in SHAPE_OF;

/** Devices that count: all that are not retired. */
export const standing = (counts: Counts): number => counts.devices - counts.retired;

export const everConnected = (counts: Counts): number =>
  counts.connected + counts.reporting + counts.silent;

/** How much of a place is silent, for putting the worst first. */
export const silentShare = (counts: Counts): number =>
  everConnected(counts) > 0 ? counts.silent / everConnected(counts) : 0;

/** The state with the most devices that needs somebody: what a cluster is coloured by in words. */
export function statesOf(states: Partial<Record<DeviceState, number>>): [DeviceState, number][] {
  return STATES.flatMap((state): [DeviceState, number][] => {
    const n = states[state] ?? 0;
    return n > 0 ? [[state, n]] : [];
  });
}

/** An arc of a ring: from and to as shares of the whole, clockwise from the top. */
export function arc(from: number, to: number, radius: number, middle: number): string {
  const FULL = 0.9999;
  const end = Math.min(to, from + FULL);
  const at = (share: number): string => {
    const angle = 2 * Math.PI * share - Math.PI / 2;
    const x = middle + radius * Math.cos(angle);
    const y = middle + radius * Math.sin(angle);
    return `${x.toFixed(2)} ${y.toFixed(2)}`;
  };
  return `M${at(from)}A${radius} ${radius} 0 ${end - from > 0.5 ? 1 : 0} 1 ${at(end)}`;
}

/** Shares of a ring, one after the other. */
export function ringOf(
  states: Partial<Record<DeviceState, number>>,
): { state: DeviceState; from: number; to: number }[] {
  const parts = statesOf(states);
  const total = parts.reduce((sum, [, n]) => sum + n, 0);
  let from = 0;
  return parts.map(([state, n]) => {
    const part = { state, from, to: from + n / total };
    from = part.to;
    return part;
  });
}
