// The catalogue: what datasets there are, what one of them is, and who may have it.
import { shallowRef } from 'vue';
import { text } from '@/i18n';
import { get, part, post } from './client';
import type { Text } from './types';

export interface Piece {
  text: string;
  hit: boolean;
}

export interface DatasetItem {
  id: string;
  title: Text;
  description: Text;
  owner: string;
  theme: string;
  sharing: 'unconditional' | 'conditional' | 'not_shared';
  readable: boolean;
  found?: {
    title?: { zh?: Piece[]; en?: Piece[] };
    snippet?: { zh?: Piece[]; en?: Piece[] };
  };
}

export interface DatasetList {
  datasets: DatasetItem[];
  total: number;
}

export interface Field {
  name: string;
  title: Text;
  description: Text;
  type: string;
  unit: string | null;
  class: string;
  level: number;
  pii: string;
  required: boolean;
  codes: string[];
  /** What the codes are called. */
  labels?: Record<string, Text>;
  /** How the reader sees it: `plain`, `masked` with a mask, `nothing`. */
  seen: { as: 'plain' | 'masked' | 'nothing'; mask?: string };
}

export interface RuleResult {
  rule: string;
  title: Text;
  kind: string;
  field: string | null;
  severity: 'error' | 'warning';
  checked: number;
  failed: number;
  failed_share: number;
  failing_rows: string | null;
  sample: unknown[];
}

export interface QualityRun {
  id: string;
  dataset: string;
  started_at: string;
  finished_at: string;
  passed: boolean;
  rows: number;
  rules: RuleResult[];
}

export interface GrantView {
  id: string;
  dataset: string;
  organisation: string;
  fields: string[];
  row_filter: string | null;
  masks: Record<string, string>;
  granted_by: string;
  granted_at: string;
  expires_at: string;
}

export type RequestState =
  'requested' | 'granted' | 'refused' | 'withdrawn' | 'revoked' | 'expired';

/** The terms of a grant. */
export interface Granted {
  fields: string[];
  row_filter: string | null;
  masks: Record<string, string>;
  expires_at: string;
}

export interface SharingRequest {
  id: string;
  dataset: string;
  fields: string[];
  rows: string | null;
  purpose: string;
  legal_ground: string;
  until: string;
  organisation: string;
  requested_by: string;
  requested_at: string;
  state: RequestState;
  decided_by: string | null;
  decided_at: string | null;
  reason: string | null;
  /** What was granted, which may be less than what was asked. */
  granted: Granted | null;
}

export interface RequestList {
  requests: SharingRequest[];
  /** Where the next page begins; null where there is none. */
  next: string | null;
}

export interface NewRequest {
  dataset: string;
  fields: string[];
  rows?: string | null;
  purpose: string;
  legal_ground: string;
  until: string;
}

export interface NewTerms {
  fields?: string[] | null;
  row_filter?: string | null;
  masks?: Record<string, string>;
  expires_at?: string | null;
}

export const MASKS = ['redact', 'last_four', 'year_only', 'token'] as const;

export interface ListQuery {
  q?: string;
  limit?: number;
  offset?: number;
}

export const datasets = (query: ListQuery, signal?: AbortSignal): Promise<DatasetList> =>
  get('/api/datasets', { query: { ...query }, signal });
export const dataset = (id: string, signal?: AbortSignal): Promise<DatasetPage> =>
  get(`/api/datasets/${part(id)}`, { signal });
export const qualityRuns = (id: string, signal?: AbortSignal): Promise<{ runs: QualityRun[] }> =>
  get(`/api/datasets/${part(id)}/quality`, { signal });
export const checkQuality = (id: string): Promise<unknown> =>
  post(`/api/datasets/${part(id)}/quality`);

/** Pages of requests that are read one after another, of a thousand each. */
const REQUEST_PAGES_MAX = 20;

/** All requests that concern one's organisation; those that wait for a decision come first. */
export async function sharingRequests(signal?: AbortSignal): Promise<RequestList> {
  const all: RequestList = { requests: [], next: null };
  for (let page = 0; page < REQUEST_PAGES_MAX; page++) {
    const query = { after: all.next };
    const found = await get<RequestList>('/api/sharing-requests', { query, signal });
    all.requests.push(...found.requests);
    all.next = found.next;
    if (!all.next) break;
  }
  return all;
}
export const requestSharing = (fresh: NewRequest): Promise<SharingRequest> =>
  post('/api/sharing-requests', fresh);
export const grantRequest = (id: string, terms: NewTerms): Promise<GrantView> =>
  post(`/api/sharing-requests/${part(id)}/grant`, terms);
export const refuseRequest = (id: string, reason: string): Promise<void> =>
  post(`/api/sharing-requests/${part(id)}/refuse`, { reason });
export const revokeGrant = (id: string, reason: string): Promise<void> =>
  post(`/api/sharing-requests/${part(id)}/revoke`, { reason });
export const withdrawRequest = (id: string): Promise<void> =>
  post(`/api/sharing-requests/${part(id)}/withdraw`);

export interface DatasetPage {
  id: string;
  resource: {
    name: Text;
    provider: { id: string; name: Text };
    summary: Text;
    sharing_attribute: DatasetItem['sharing'];
    items: string[];
    identifier: string;
    formats: string[];
    category: string;
    keywords: string[];
    open: boolean;
    update_period_minutes: number | null;
    published: string;
    related: string[];
  };
  kind: string;
  accountable: string;
  source_system: string;
  readable: boolean;
  owner: boolean;
  fields: Field[];
  key: string[];
  time: string | null;
  geometry: string | null;
  retention_days: number | null;
  sharing: {
    attribute: DatasetItem['sharing'];
    legal_ground: Text;
    conditions: Text;
    can_be_requested: boolean;
  };
  freshness: {
    state: 'fresh' | 'late' | 'never' | 'unlimited';
    age_minutes?: number | null;
    late_minutes?: number | null;
  };
  statistics: {
    rows: number | null;
    oldest: string | null;
    newest: string | null;
    computed_at: string;
    fields: Record<string, FieldStatistics>;
  } | null;
  quality: QualityRun | null;
  grants: {
    id: string;
    organisation: string;
    purpose: string;
    fields: string[] | null;
    row_filter: string | null;
    masks: Record<string, string>;
    expires: string | null;
  }[];
  usage: {
    queries: number;
    principals: number;
    last_used: string | null;
    since: string;
    by_field: Counted[];
    by_organisation: Counted[];
    by_surface: Counted[];
  } | null;
}

export interface FieldStatistics {
  null_share: number | null;
  distinct: number | null;
  distinct_share?: number | null;
  min?: string | number | null;
  max?: string | number | null;
}

export interface Counted {
  by: string;
  queries: number;
}

const known = shallowRef<ReadonlyMap<string, Text>>(new Map());
let asked: Promise<void> | null = null;

async function loadTitles(): Promise<void> {
  try {
    const { datasets: all } = await datasets({ limit: 200 });
    known.value = new Map(all.map((one) => [one.id, one.title]));
  } catch {
    asked = null;
  }
}

/** Titles of datasets, asked for once; ids where there is none. */
export function useTitles(): (id: string) => string {
  asked ??= loadTitles();
  return (id) => text(known.value.get(id)) || id;
}
