// What kinds of device and departments are called: asked of the census, which names what it counts.
import { computed, type ComputedRef } from 'vue';
import { useI18n } from 'vue-i18n';
import { census } from '@/api/sensing';
import type { Text } from '@/api/types';
import { useLoad } from '@/app/load';
import { text } from '@/i18n';
import './words';

export interface Choice {
  id: string;
  title: string;
}

export interface Names {
  kinds: ComputedRef<Choice[]>;
  departments: ComputedRef<Choice[]>;
  kind: (id: string | null | undefined) => string;
  department: (id: string | null | undefined) => string;
}

export function useNames(): Names {
  const { t, te } = useI18n();
  // A page stands without the names: codes say it, too.
  const ask = (by: 'kind' | 'department') => (signal: AbortSignal) =>
    census(by, null, signal).then(
      ({ rows }) => rows.filter((row) => row.key !== ''),
      () => [],
    );
  const kinds = useLoad(ask('kind'));
  const departments = useLoad(ask('department'));

  function known(id: string, title?: Text): string {
    const said = text(title);
    if (said && said !== id) return said;
    return te(`sensing.kind.${id}`) ? t(`sensing.kind.${id}`) : id;
  }

  const kindTitle = (id: string): string =>
    known(id, kinds.data.value?.find((row) => row.key === id)?.title);
  const departmentTitle = (id: string): string =>
    text(departments.data.value?.find((row) => row.key === id)?.title) || id;

  return {
    kinds: computed(() =>
      (kinds.data.value ?? []).map((row) => ({ id: row.key, title: known(row.key, row.title) })),
    ),
    departments: computed(() =>
      (departments.data.value ?? []).map((row) => ({
        id: row.key,
        title: text(row.title) || row.key,
      })),
    ),
    kind: (id) => (id ? kindTitle(id) : t('sensing.kindUnknown')),
    department: (id) => (id ? departmentTitle(id) : '—'),
  };
}
