// Administration: users and what they may do, tokens, sessions, the audit.
import { get, part, patch, post, remove } from './client';
import type { Token } from './session';
import type { List, Text } from './types';

export interface User {
  name: string;
  organisation: string;
  roles: string[];
  areas: string[];
  active: boolean;
  created_at: string;
  has_password: boolean;
  second_factor: boolean;
  last_sign_in_at?: string | null;
}

export interface NewUser {
  name: string;
  organisation: string;
  roles: string[];
  areas: string[];
  password?: string;
}

export interface UserChange {
  organisation?: string;
  roles?: string[];
  areas?: string[];
  password?: string;
  active?: boolean;
  second_factor?: false;
}

export interface Role {
  id: string;
  title: Text;
  permissions: string[];
  /** Holders sign in with a second step. */
  second_factor?: boolean;
  /** Roles that nobody holds beside this one. */
  excludes?: string[];
}

export interface Session {
  id: string;
  user: string;
  method: string;
  address: string;
  agent: string;
  created_at: string;
  seen_at: string;
  expires_at: string;
  current: boolean;
}

export interface AuditEntry {
  seq: number;
  at_us: number;
  actor: string;
  organisation: string;
  action: string;
  object: string;
  outcome: string;
  detail: string;
  hash: string;
}

export interface AuditReport {
  sound: boolean;
  entries: number;
  head: string;
  faults: string[];
  faults_more: number;
}

export interface UsersQuery {
  q?: string;
  limit?: number;
  offset?: number;
}

export const users = (query: UsersQuery, signal?: AbortSignal): Promise<List<User>> =>
  get('/api/users', { query: { ...query }, signal });
export const createUser = (fresh: NewUser): Promise<User> => post('/api/users', fresh);
export const changeUser = (name: string, change: UserChange): Promise<User> =>
  patch(`/api/users/${part(name)}`, change);
export const roles = (signal?: AbortSignal): Promise<List<Role>> => get('/api/roles', { signal });

export const sessions = (user: string | null, signal?: AbortSignal): Promise<List<Session>> =>
  get('/api/sessions', { query: { user }, signal });
export const endSession = (id: string): Promise<void> => remove(`/api/sessions/${part(id)}`);

export const AUDIT_PAGE_MAX = 1_000;

/** Entries after one, oldest first; without `after`, the newest, newest first. */
export const auditEntries = (
  query: { after?: number; limit?: number },
  signal?: AbortSignal,
): Promise<{ entries: AuditEntry[] }> => get('/api/audit', { query: { ...query }, signal });
export const verifyAudit = (
  anchor: { count?: string; hash?: string },
  signal?: AbortSignal,
): Promise<AuditReport> => get('/api/audit/verify', { query: { ...anchor }, signal });

/** Tokens of a user that one manages; one's own without. */
export const tokensOf = (user: string | null, signal?: AbortSignal): Promise<List<Token>> =>
  get('/api/tokens', { query: { user }, signal });
