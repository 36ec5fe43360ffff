// Bringing what a page shows up to date as news come in: at once after a quiet time, then no more
// often than the page can bear, however many there are; and now and then without any.
import { onScopeDispose } from 'vue';
import { type DatasetNews, inSight, onDatasetNews, onNewsGap } from '@/api/events';

export interface Pace {
  /** Something is new: acted on now, or as soon as the last time is long enough ago. */
  ask: () => void;
  stop: () => void;
}

/** One `act` at a time, `gap_ms` from the end of one to the beginning of the next. */
export function pace(act: () => Promise<unknown>, gap_ms: number): Pace {
  let asked = false;
  let resting = false;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function run(): Promise<void> {
    asked = false;
    resting = true;
    try {
      await act();
    } finally {
      if (!stopped) timer = setTimeout(rested, gap_ms);
    }
  }

  function rested(): void {
    resting = false;
    if (asked) void run();
  }

  return {
    ask: () => {
      asked = true;
      if (!resting && !stopped) void run();
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

const GAP_MS = 2_000;

export interface Watching {
  /** Whether the page shows something of it. */
  reads: (news: DatasetNews) => boolean;
  refresh: () => Promise<unknown>;
  /** False while it shows what does not change, such as the past. */
  active?: () => boolean;
  /** Also so often without news; left out: never. */
  every_ms?: number;
}

/** Keeps a page up to date while it lives and is in sight. Returns how to ask for it by hand. */
export function useNews({ reads, refresh, active, every_ms }: Watching): () => void {
  const { ask, stop } = pace(refresh, GAP_MS);
  const want = (): void => {
    if (inSight() && (active?.() ?? true)) ask();
  };
  onDatasetNews((news) => reads(news) && want());
  onNewsGap(want);
  const timer = every_ms === undefined ? undefined : setInterval(want, every_ms);
  onScopeDispose(() => {
    clearInterval(timer);
    stop();
  });
  return want;
}
