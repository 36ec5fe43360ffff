// Names of organisations, asked for once. Where they may not be listed, ids stand for themselves.
import { shallowRef } from 'vue';
import { text } from '@/i18n';
import { get } from './client';
import type { List, Text } from './types';

export interface Organisation {
  id: string;
  name: Text;
  kind: string;
  parent: string | null;
  area: string | null;
}

const known = shallowRef<ReadonlyMap<string, Text>>(new Map());
let asked: Promise<void> | null = null;

async function load(): Promise<void> {
  try {
    const answer = await get<List<Organisation>>('/api/organisations');
    known.value = new Map(answer.items.map((one) => [one.id, one.name]));
  } catch {
    // Ids then; asked again with the next page.
    asked = null;
  }
}

/** The name of an organisation in the reader's language. */
export function useOrganisations(): (id: string) => string {
  asked ??= load();
  return (id) => text(known.value.get(id)) || id;
}

/** All organisations, for those who choose one. */
export const organisations = (signal?: AbortSignal): Promise<List<Organisation>> =>
  get('/api/organisations', { signal });
