// Why a reading is doubted: the bits of `sensing.observation.flags`, each with a symbol of its own.

export interface Flag {
  bit: number;
  id: string;
  symbol: 'triangle' | 'diamond' | 'rect' | 'pin' | 'arrow' | 'circle' | 'roundRect';
}

export const FLAGS: readonly Flag[] = [
  { bit: 1, id: 'range', symbol: 'triangle' },
  { bit: 2, id: 'rate', symbol: 'arrow' },
  { bit: 4, id: 'stuck', symbol: 'rect' },
  { bit: 8, id: 'spike', symbol: 'diamond' },
  { bit: 16, id: 'unit', symbol: 'roundRect' },
  { bit: 32, id: 'clock', symbol: 'pin' },
  { bit: 64, id: 'late', symbol: 'circle' },
];

export const flagsOf = (bits: number | null | undefined): Flag[] =>
  FLAGS.filter((flag) => ((bits ?? 0) & flag.bit) !== 0);

/** What leaves a reading out of lines and means: one that came late is as good as any. */
export const DOUBTS: readonly Flag[] = FLAGS.filter((flag) => flag.id !== 'late');
