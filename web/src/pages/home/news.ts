// When a board is asked for again.
import type { Board } from '@/api/boards';

/** Without news too: a figure may be of the last hour. */
export const REFRESH_MS = 60_000;

/** Whether a tile of the board is made from the dataset. */
export function readsOf(board: Board | null, dataset: string): boolean {
  const tiles = board?.tiles ?? [];
  return tiles.some((tile) => tile.sources.some((source) => source.dataset === dataset));
}
