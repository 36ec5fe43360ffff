// What the pages of one register share: the register itself and how its values are told.
import { computed, type ComputedRef, type Ref } from 'vue';
import { useOrganisations } from '@/api/organisations';
import { Problem } from '@/api/problem';
import { registers, type Register } from '@/api/registers';
import { useLoad, type Loaded } from '@/app/load';
import { useDistricts } from '@/components/area/names';
import type { Names } from './show';

export function useNames(): Names {
  return { organisation: useOrganisations(), district: useDistricts() };
}

/** The register of an id, as far as the reader may see it. */
export function useRegister(id: Ref<string> | ComputedRef<string>): Loaded<Register> {
  return useLoad(
    async (signal) => {
      const all = await registers(signal);
      const found = all.items.find((one) => one.dataset === id.value);
      if (found) return found;
      throw new Problem({ code: 'not_found', status: 404, title: id.value });
    },
    [id],
  );
}

/** The field that says where a row is. */
export function useAreaField(register: Ref<Register | undefined>): ComputedRef<boolean> {
  return computed(
    () => register.value?.fields.some((field) => field.type === 'area_code') ?? false,
  );
}
