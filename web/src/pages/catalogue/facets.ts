// Facets: what the datasets found have in common, and which of them remain when some are chosen.
import type { DatasetItem } from '@/api/catalogue';

export const FACETS = ['theme', 'owner', 'sharing', 'access'] as const;
export type Facet = (typeof FACETS)[number];
export type Chosen = Partial<Record<Facet, string>>;

export interface Value {
  value: string;
  count: number;
}

export function valueOf(item: DatasetItem, facet: Facet): string {
  if (facet === 'access') return item.readable ? 'readable' : 'closed';
  return item[facet];
}

export function matching(items: readonly DatasetItem[], chosen: Chosen): DatasetItem[] {
  return items.filter((item) =>
    FACETS.every((facet) => !chosen[facet] || valueOf(item, facet) === chosen[facet]),
  );
}

/** A facet's values, counted among what the other facets leave; the most frequent first. */
export function valuesOf(items: readonly DatasetItem[], facet: Facet, chosen: Chosen): Value[] {
  const rest = matching(items, { ...chosen, [facet]: undefined });
  const counts = new Map<string, number>();
  for (const item of rest) {
    const value = valueOf(item, facet);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || a.value.localeCompare(b.value));
}
