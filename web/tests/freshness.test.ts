// How new a figure is: what was promised is held to, and nothing is praised that was not.
import { mount } from '@vue/test-utils';
import { describe, expect, it } from 'vitest';
import type { Source } from '@/api/boards';
import '@/app/words';
import FreshnessBadge from '@/components/source/FreshnessBadge.vue';
import { freshnessOf, freshnessOfAll } from '@/components/source/freshness';
import { i18n } from '@/i18n';

type Told = NonNullable<Source['freshness']>;

const EARLY = '2026-11-01T00:00:00Z';
const LATER = '2026-11-02T00:00:00Z';
const source = (freshness: Told | null): Source => ({
  dataset: 'd',
  title: { zh: '', en: '' },
  freshness,
});
const FRESH: Told = { state: 'fresh', last_at: LATER, stale: false };
const LATE: Told = { state: 'late', last_at: EARLY, stale: true };
const NEVER: Told = { state: 'never', last_at: null, stale: true };
const UNLIMITED: Told = { state: 'unlimited', last_at: EARLY, stale: false };

describe('the freshness of a source', () => {
  it('is the word that the server says, or what its flag says where there is none', () => {
    for (const told of [FRESH, LATE, NEVER, UNLIMITED]) {
      expect(freshnessOf(told).state).toBe(told.state);
    }
    expect(freshnessOf({ last_at: EARLY, stale: true }).state).toBe('late');
    expect(freshnessOf({ last_at: EARLY, stale: false }).state).toBe('fresh');
    expect(freshnessOf({ last_at: null, stale: false }).state).toBe('unknown');
  });

  it.each([
    [FRESH, 'ok', '及时'],
    [LATE, 'warn', '已过期'],
    [NEVER, 'warn', '还没有数据'],
    [{ ...NEVER, stale: false }, 'plain', '还没有数据'],
    [UNLIMITED, 'plain', '未约定时效'],
  ])('is drawn good only where a promise is kept: %o', (told, tone, words) => {
    const props = { freshness: freshnessOf(told) };
    const badge = mount(FreshnessBadge, { props, global: { plugins: [i18n] } });
    expect(badge.classes()).toContain(tone);
    expect(badge.text()).toContain(words);
    expect(badge.text().includes('·')).toBe(told.last_at !== null);
  });
});

describe('the freshness of several sources', () => {
  const of = (...told: (Told | null)[]) => freshnessOfAll(told.map(source));

  it('is the worst of them, and as old as the oldest', () => {
    expect(of(FRESH, LATE)).toEqual({ state: 'late', lastAt: EARLY, stale: true });
    expect(of(FRESH, NEVER)).toEqual({ state: 'never', lastAt: LATER, stale: true });
    expect(of(null)).toBeNull();
    expect(of()).toBeNull();
  });

  it('is decided by those of which something is promised', () => {
    expect(of(UNLIMITED, FRESH)).toEqual({ state: 'fresh', lastAt: LATER, stale: false });
    expect(of(UNLIMITED)).toEqual({ state: 'unlimited', lastAt: EARLY, stale: false });
  });
});
