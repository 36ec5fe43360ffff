// Names of areas by code. The upper levels are asked for once, so that a list of codes can say at
// least the district; one area alone is told by its whole path. Who may not query has the codes: the
// server would refuse each question and write it down.
import { shallowRef } from 'vue';
import { area as askArea, areasBelow, topAreas } from '@/api/areas';
import type { Text } from '@/api/types';
import { may } from '@/app/session';
import { text } from '@/i18n';

/** Digits that a code has on each level (GB/T 2260, GB/T 10114); noughts fill it up to 12. */
const LEVELS = [2, 4, 6, 9, 12] as const;

/** The part of a code that all codes inside it begin with. */
export function bare(code: string): string {
  const digits = LEVELS.find((length) => /^0*$/.test(code.slice(length)));
  return code.slice(0, digits ?? code.length);
}

const upper = shallowRef<{ code: string; name: Text }[]>([]);
let asked: Promise<void> | null = null;

async function load(): Promise<void> {
  try {
    const tops = (await topAreas()).items;
    const below = await Promise.all(tops.map((top) => areasBelow(top.code)));
    upper.value = [...below.flatMap((one) => one.items), ...tops];
  } catch {
    // Codes then; asked again with the next page.
    asked = null;
  }
}

/** The district, or the city, that a code lies in; empty where that is not known. */
export function useDistricts(): (code: string) => string {
  if (may('query')) asked ??= load();
  return (code) => text(upper.value.find((one) => code.startsWith(bare(one.code)))?.name);
}

const paths = new Map<string, Promise<Text[]>>();

/** The names from the city down to the area; empty where it is not known. */
export function areaPath(code: string): Promise<Text[]> {
  if (!may('query')) return Promise.resolve([]);
  const known = paths.get(code);
  if (known) return known;
  const fresh = askArea(code).then(
    (answer) => (answer.path ?? []).map((place) => place.name),
    () => {
      paths.delete(code);
      return [];
    },
  );
  paths.set(code, fresh);
  return fresh;
}
