// How new the rows behind a figure are, held to what their datasets promise. Where nothing is
// promised there is nothing to be good or bad: the time alone is told.
import type { Source } from '@/api/boards';

type Told = NonNullable<Source['freshness']>;

export type FreshnessState = NonNullable<Told['state']> | 'unknown';

export interface Freshness {
  state: FreshnessState;
  lastAt: string | null;
  /** Not as new as was promised: too old, or not there at all. */
  stale: boolean;
}

/** The server's word, as on the dataset's page; without one, what its flag says. */
function stateOf({ state, stale, last_at }: Told): FreshnessState {
  if (state) return state;
  if (stale) return 'late';
  return last_at === null ? 'unknown' : 'fresh';
}

export function freshnessOf(told: Told): Freshness {
  return { state: stateOf(told), lastAt: told.last_at, stale: told.stale };
}

/** The worst first. */
const ORDER: readonly FreshnessState[] = ['late', 'never', 'unknown', 'fresh', 'unlimited'];

/**
 * Of several sources together: the worst state, and the oldest time. A source of which nothing is
 * promised, such as a list of areas, decides only where no other one does.
 */
export function freshnessOfAll(sources: readonly Source[]): Freshness | null {
  const all = sources.flatMap(({ freshness }) => (freshness ? [freshnessOf(freshness)] : []));
  const promised = all.filter((one) => one.state !== 'unlimited');
  const deciding = promised.length > 0 ? promised : all;
  const state = ORDER.find((word) => deciding.some((one) => one.state === word));
  if (!state) return null;
  const times = deciding.map((one) => one.lastAt).filter((time) => time !== null);
  return {
    state,
    lastAt: times.sort()[0] ?? null,
    stale: deciding.some((one) => one.stale),
  };
}
