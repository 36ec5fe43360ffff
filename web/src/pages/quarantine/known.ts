// What the page knows of the datasets whose rows it shows.
import { shallowRef, watch, type Ref } from 'vue';
import type { QuarantineRow } from '@/api/quarantine';
import { contractOf, NOTHING_KNOWN, type Known } from '@/components/refusal/rules';
import { readRefusal, reasonWords } from '@/components/refusal/refusal';
import { text } from '@/i18n';

export interface Tell {
  /** A dataset's title; its id until that is known. */
  dataset: (id: string) => string;
  field: (dataset: string, name: string) => string;
  of: (dataset: string) => Known;
  /** Why a row was not taken, in full. */
  why: (row: QuarantineRow) => string;
  /** The same without what stood in this one row. */
  reason: (dataset: string, reason: string) => string;
}

export function useKnown(ids: Ref<readonly string[]>): Tell {
  const known = shallowRef<ReadonlyMap<string, Known>>(new Map());
  watch(
    ids,
    async (now) => {
      const fresh = now.filter((id) => !known.value.has(id));
      const found = await Promise.all(fresh.map(async (id) => [id, await contractOf(id)] as const));
      if (found.length > 0) known.value = new Map([...known.value, ...found]);
    },
    { immediate: true },
  );
  const of = (id: string): Known => known.value.get(id) ?? NOTHING_KNOWN;
  return {
    of,
    dataset: (id) => text(of(id).title) || id,
    field: (dataset, name) => text(of(dataset).fields.get(name)?.title) || name,
    reason: (dataset, reason) => reasonWords(reason, of(dataset).rules),
    why: (row) => {
      const { fields, rules } = of(row.dataset);
      const contract = { fields: [...fields.keys()], rules, coded: fields };
      return readRefusal(row.message, contract, row.field).words;
    },
  };
}
