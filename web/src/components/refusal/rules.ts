// What a dataset is called, its fields and its quality rules: asked for once a dataset, for those
// who say why a row was not taken.
import { dataset } from '@/api/catalogue';
import type { Text } from '@/api/types';

export interface KnownField {
  name: string;
  title: Text;
  unit: string | null;
  type: string;
  codes: string[];
  labels?: Record<string, Text>;
  required: boolean;
}

export interface Known {
  title: Text | null;
  fields: ReadonlyMap<string, KnownField>;
  /** Titles of the rules by id. */
  rules: ReadonlyMap<string, Text>;
}

export const NOTHING_KNOWN: Known = { title: null, fields: new Map(), rules: new Map() };

const known = new Map<string, Promise<Known>>();

/** What the catalogue tells of a dataset; nothing where it tells nothing. */
export function contractOf(id: string): Promise<Known> {
  const asked = known.get(id);
  if (asked) return asked;
  const fresh = dataset(id).then(
    (page) => ({
      title: page.resource.name,
      fields: new Map(page.fields.map((field) => [field.name, field])),
      rules: new Map((page.quality?.rules ?? []).map((rule) => [rule.rule, rule.title])),
    }),
    () => {
      known.delete(id);
      return NOTHING_KNOWN;
    },
  );
  known.set(id, fresh);
  return fresh;
}
