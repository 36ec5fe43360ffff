// Where and when one looks: an area and a moment, kept in the address (`?area=…&at=…`) so that a
// link shows the same to whoever opens it. Pages read `area` and `at`; the top bar changes them.
import { computed } from 'vue';
import type { LocationQuery, RouteLocationNormalized, Router } from 'vue-router';

const KEPT = ['area', 'at'] as const;

let router: Router | null = null;
/** What is being taken out of the address on purpose, so that nothing carries it over. */
const dropped = new Set<string>();

function word(query: LocationQuery, name: string): string | null {
  const value = query[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

const query = computed<LocationQuery>(() => router?.currentRoute.value.query ?? {});

/** The code of the area one looks at; null is all that one may see. */
export const area = computed(() => word(query.value, 'area'));
/** The moment one looks at, RFC 3339; null is now. */
export const at = computed(() => word(query.value, 'at'));

export function setScope(change: { area?: string | null; at?: string | null }): void {
  if (!router) return;
  const entries = Object.entries(router.currentRoute.value.query);
  const next: LocationQuery = Object.fromEntries(entries.filter(([name]) => !(name in change)));
  for (const name of KEPT) {
    const value = change[name];
    if (value) next[name] = value;
    else if (name in change) dropped.add(name);
  }
  const moved = router.replace({ query: next, hash: router.currentRoute.value.hash });
  void moved.finally(() => dropped.clear());
}

/** Carries area and moment from page to page; null where there is nothing to carry. */
export function carry(
  to: RouteLocationNormalized,
  from: RouteLocationNormalized,
): LocationQuery | null {
  const missing = KEPT.filter((name) => {
    return to.query[name] === undefined && !dropped.has(name) && word(from.query, name);
  });
  if (missing.length === 0) return null;
  const next: LocationQuery = { ...to.query };
  for (const name of missing) next[name] = from.query[name] ?? null;
  return next;
}

export function startScope(of: Router): void {
  router = of;
}
