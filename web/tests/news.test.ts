// News: one stream while the page is seen, and pages that keep up with any number of them.
import { effectScope, nextTick, type EffectScope } from 'vue';
import { mount } from '@vue/test-utils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Board } from '@/api/boards';
import { closeEvents, live, onDatasetNews, onNewsGap, openEvents } from '@/api/events';
import { type Loaded, useLoad } from '@/app/load';
import { pace, useNews } from '@/app/news';
import '@/app/words';
import { i18n } from '@/i18n';
import { readsOf } from '@/pages/home/news';
import ScreenTicker from '@/pages/screen/ScreenTicker.vue';
import '@/pages/screen/words';

class Stream extends EventTarget {
  static readonly CLOSED = 2;
  static all: Stream[] = [];
  readyState = 1;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  constructor(readonly url: string) {
    super();
    Stream.all.push(this);
  }
  close(): void {
    this.readyState = Stream.CLOSED;
  }
  fail(): void {
    this.close();
    this.onerror?.();
  }
  say(kind: string, news: unknown): void {
    this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(news) }));
  }
}

const opened = (): Stream[] => Stream.all.filter((one) => one.readyState !== Stream.CLOSED);
const last = (): Stream => Stream.all.at(-1) as Stream;
const NEWS = { id: 'a.b', at: '2026-01-01T00:00:00Z' };

let sight: DocumentVisibilityState = 'visible';
function look(now: DocumentVisibilityState): void {
  sight = now;
  document.dispatchEvent(new Event('visibilitychange'));
}

let scope: EffectScope;
const within = <T>(act: () => T): T => scope.run(act) as T;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('EventSource', Stream);
  vi.spyOn(document, 'visibilityState', 'get').mockImplementation(() => sight);
  Stream.all = [];
  sight = 'visible';
  scope = effectScope();
});
afterEach(() => {
  closeEvents();
  scope.stop();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('the stream', () => {
  it('is open only while the page is seen', () => {
    openEvents();
    expect(opened()).toHaveLength(1);
    look('hidden');
    expect(opened()).toHaveLength(0);
    expect(live.value).toBe(false);
    look('visible');
    expect(opened()).toHaveLength(1);
    look('hidden');
    closeEvents();
    look('visible');
    expect(opened()).toHaveLength(0);
  });

  it('is not opened by a page that nobody sees yet', () => {
    sight = 'hidden';
    openEvents();
    expect(Stream.all).toHaveLength(0);
    look('visible');
    expect(opened()).toHaveLength(1);
  });

  it('tells that something was missed once it is open again, or cannot be', () => {
    const gap = vi.fn();
    within(() => onNewsGap(gap));
    openEvents();
    last().onopen?.();
    expect(gap).not.toHaveBeenCalled();

    look('hidden');
    look('visible');
    last().onopen?.();
    expect(gap).toHaveBeenCalledTimes(1);

    // The server ends a stream, and the browser opens it anew.
    last().onerror?.();
    expect(gap).toHaveBeenCalledTimes(1);
    last().onopen?.();
    expect(gap).toHaveBeenCalledTimes(2);

    look('hidden');
    look('visible');
    last().fail();
    expect(gap).toHaveBeenCalledTimes(3);
    vi.advanceTimersByTime(2_000);
    last().onopen?.();
    expect(gap).toHaveBeenCalledTimes(4);
  });

  it('does not come back by itself while the page is hidden', () => {
    openEvents();
    last().fail();
    look('hidden');
    vi.advanceTimersByTime(120_000);
    expect(opened()).toHaveLength(0);
  });

  it('tells who listens, until they are gone', () => {
    const heard = vi.fn();
    within(() => onDatasetNews(heard));
    openEvents();
    last().say('dataset', { ...NEWS, rows: 3 });
    last().say('dataset', NEWS);
    last().dispatchEvent(new MessageEvent('dataset', { data: 'no json' }));
    expect(heard.mock.calls).toEqual([[{ ...NEWS, rows: 3 }], [NEWS]]);
    scope.stop();
    last().say('dataset', NEWS);
    expect(heard).toHaveBeenCalledTimes(2);
  });
});

describe('a pace', () => {
  const GAP_MS = 1_000;
  const LOAD_MS = 300;

  it('acts at once, and never starves under a busy stream', async () => {
    const act = vi.fn(() => new Promise((done) => setTimeout(done, LOAD_MS)));
    const { ask } = pace(act, GAP_MS);
    ask();
    expect(act).toHaveBeenCalledTimes(1);
    for (let at_ms = 0; at_ms < 10 * (GAP_MS + LOAD_MS); at_ms += 50) {
      ask();
      await vi.advanceTimersByTimeAsync(50);
    }
    expect(act).toHaveBeenCalledTimes(11);
  });

  it('acts once more for what came meanwhile, and then rests', async () => {
    const act = vi.fn(() => Promise.resolve());
    const { ask } = pace(act, GAP_MS);
    ask();
    ask();
    ask();
    await vi.advanceTimersByTimeAsync(10 * GAP_MS);
    expect(act).toHaveBeenCalledTimes(2);
    ask();
    expect(act).toHaveBeenCalledTimes(3);
  });

  it('ends when it is stopped', async () => {
    const act = vi.fn(() => Promise.resolve());
    const { ask, stop } = pace(act, GAP_MS);
    ask();
    ask();
    stop();
    await vi.advanceTimersByTimeAsync(10 * GAP_MS);
    ask();
    expect(act).toHaveBeenCalledTimes(1);
  });
});

describe('a page', () => {
  it('asks again for its own news, when some were missed, and each minute while it is seen', async () => {
    const refresh = vi.fn(() => Promise.resolve());
    let active = true;
    within(() =>
      useNews({
        reads: ({ id }) => id === 'a.b',
        refresh,
        active: () => active,
        every_ms: 60_000,
      }),
    );
    openEvents();
    last().onopen?.();
    last().say('dataset', { ...NEWS, id: 'c.d' });
    expect(refresh).toHaveBeenCalledTimes(0);
    last().say('dataset', NEWS);
    expect(refresh).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(refresh).toHaveBeenCalledTimes(2);
    look('hidden');
    await vi.advanceTimersByTimeAsync(600_000);
    expect(refresh).toHaveBeenCalledTimes(2);
    look('visible');
    last().onopen?.();
    expect(refresh).toHaveBeenCalledTimes(3);
    active = false;
    await vi.advanceTimersByTimeAsync(600_000);
    expect(refresh).toHaveBeenCalledTimes(3);
    active = true;
    scope.stop();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(refresh).toHaveBeenCalledTimes(3);
  });

  it('reads the datasets that its tiles are made from', () => {
    const title = { zh: '', en: '' };
    const tile = { id: 't', title, kind: 'number', sql: '', columns: [], rows: [] } as const;
    const sources = [{ dataset: 'a.b', title }];
    const board: Board = { id: 'b', title, tiles: [{ ...tile, columns: [], rows: [], sources }] };
    expect(readsOf(board, 'a.b')).toBe(true);
    expect(readsOf(board, 'c.d')).toBe(false);
    expect(readsOf(null, 'a.b')).toBe(false);
  });
});

describe('a refresh', () => {
  interface Asked {
    signal: AbortSignal;
    answer: (value: number) => void;
  }
  function asking(): { asked: Asked[]; loaded: Loaded<number> } {
    const asked: Asked[] = [];
    const loaded = within(() =>
      useLoad((signal) => new Promise<number>((answer) => asked.push({ signal, answer }))),
    );
    return { asked, loaded };
  }
  const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

  it('lets what is under way end, and then asks once more', async () => {
    const { asked, loaded } = asking();
    void loaded.refresh();
    void loaded.refresh();
    await settle();
    expect(asked).toHaveLength(1);
    asked[0]?.answer(1);
    await settle();
    expect(loaded.data.value).toBe(1);
    expect(asked.map((one) => one.signal.aborted)).toEqual([false, false]);
    asked[1]?.answer(2);
    await settle();
    expect(loaded.data.value).toBe(2);
    void loaded.refresh();
    await settle();
    expect(asked).toHaveLength(3);
  });

  it('is given up with its page, while a reload by hand gives up what is under way', async () => {
    const { asked, loaded } = asking();
    void loaded.reload();
    expect(asked.map((one) => one.signal.aborted)).toEqual([true, false]);
    void loaded.refresh();
    scope.stop();
    asked[1]?.answer(1);
    await settle();
    expect(asked).toHaveLength(2);
  });
});

describe('the ticker', () => {
  it('says how many rows are new, where that is known', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('{"datasets":[],"total":0}')));
    const board: Board = { id: 'b', title: { zh: '', en: '' }, tiles: [] };
    const ticker = mount(ScreenTicker, {
      props: { board, paused: true, now: Date.now() },
      global: { plugins: [i18n] },
    });
    openEvents();
    last().say('dataset', { ...NEWS, rows: 1200 });
    last().say('dataset', NEWS);
    await nextTick();
    const [newest, before] = ticker.findAll('li').map((one) => one.text());
    expect(newest).toContain('a.b有新数据');
    expect(before).toContain('a.b新到 1,200 条');
    expect(ticker.text()).not.toContain('NaN');
    ticker.unmount();
  });
});
