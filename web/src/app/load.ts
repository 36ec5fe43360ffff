// Loading what a page shows: one answer at a time, the older one given up.
import { onScopeDispose, ref, shallowRef, watch, type Ref, type WatchSource } from 'vue';
import { asProblem, isAborted, type Problem } from '@/api/problem';

export interface Loaded<T> {
  data: Ref<T | undefined>;
  problem: Ref<Problem | null>;
  /** True until the first answer, and again when the question changes. */
  loading: Ref<boolean>;
  /** Asks again and keeps showing the old answer meanwhile. */
  reload: () => Promise<void>;
  /** Asks again because there is news, after what is under way, which is never given up for it. */
  refresh: () => Promise<void>;
}

/**
 * Loads now and whenever one of `when` changes. A change of the question empties the screen;
 * a reload does not.
 */
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  when: WatchSource<unknown>[] = [],
): Loaded<T> {
  const data = shallowRef<T>();
  const problem = shallowRef<Problem | null>(null);
  const loading = ref(true);
  let running: AbortController | null = null;
  let under: Promise<void> | null = null;
  let ended = false;

  async function ask(mine: AbortController): Promise<void> {
    try {
      const answer = await load(mine.signal);
      if (running !== mine) return;
      data.value = answer;
      problem.value = null;
    } catch (thrown) {
      if (running !== mine || isAborted(thrown)) return;
      problem.value = asProblem(thrown);
    }
    loading.value = false;
  }

  function run(): Promise<void> {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    under = ask(mine).finally(() => {
      if (running !== mine) return;
      running = null;
      under = null;
    });
    return under;
  }

  async function refresh(): Promise<void> {
    await under;
    // Whatever else was begun meanwhile was begun after the news.
    if (!ended) await (under ?? run());
  }

  function restart(): void {
    data.value = undefined;
    problem.value = null;
    loading.value = true;
    void run();
  }

  if (when.length > 0) watch(when, restart);
  void run();
  onScopeDispose(() => {
    ended = true;
    running?.abort();
  });
  return { data, problem, loading, reload: run, refresh };
}

/** An action with its state: running, and what went wrong. Returns whether it went well. */
export function useAction<A extends unknown[]>(
  act: (...args: A) => Promise<unknown>,
): { run: (...args: A) => Promise<boolean>; running: Ref<boolean>; problem: Ref<Problem | null> } {
  const running = ref(false);
  const problem = shallowRef<Problem | null>(null);
  async function run(...args: A): Promise<boolean> {
    if (running.value) return false;
    running.value = true;
    problem.value = null;
    try {
      await act(...args);
      return true;
    } catch (thrown) {
      problem.value = asProblem(thrown);
      return false;
    } finally {
      running.value = false;
    }
  }
  return { run, running, problem };
}
