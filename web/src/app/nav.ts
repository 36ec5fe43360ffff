// The left navigation: what of the pages the one signed in may open, in groups.
import { computed } from 'vue';
import type { NavGroup, PageRoute } from './page';
import { pages } from './router';
import { may } from './session';

export const GROUPS: readonly NavGroup[] = ['work', 'sensing', 'data', 'system'];

/** A page's path without what may follow it. */
export const plainPath = (page: PageRoute): string => page.path.replace(/\/:\w+\?$/, '');

export const navigation = computed(() =>
  GROUPS.map((group) => ({
    group,
    pages: pages
      .filter((page: PageRoute) => page.meta.nav?.group === group && may(page.meta.permission))
      .sort((a, b) => (a.meta.nav?.order ?? 0) - (b.meta.nav?.order ?? 0)),
  })).filter(({ pages: inside }) => inside.length > 0),
);

/** Which page of the navigation one is in: the one with the longest path that leads here. */
export function placeOf(path: string, paths: readonly string[]): string | null {
  const leading = paths.filter((one) => path === one || path.startsWith(`${one}/`));
  return leading.sort((a, b) => b.length - a.length)[0] ?? null;
}
