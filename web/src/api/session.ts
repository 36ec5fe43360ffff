// Signing in and out, and what concerns one's own account.
import { get, part, post, put, remove, setCsrf } from './client';
import type { List, Text } from './types';

export interface AreaRef {
  code: string;
  name: Text;
  level?: string | null;
}

export interface Me {
  user: string;
  title?: Text | null;
  organisation: { id: string; name: Text };
  roles: { id: string; title: Text }[];
  permissions: string[];
  areas: AreaRef[];
  second_factor: boolean;
  /** A role asks for a second factor: all else is refused until there is one. */
  must_enrol?: boolean;
  csrf: string;
  expires_at: string | null;
}

export interface DemoLogin {
  user: string;
  password: string;
  title: Text | string;
  /** The role's id. */
  role: string;
}

export interface SignIn {
  city: { code: string; name: Text; zone: string };
  password: boolean;
  oidc: { id: string; title: Text | string }[];
  demo: DemoLogin[] | null;
}

export interface Token {
  id: string;
  user: string;
  label: string;
  /** Permissions; null is all that its user has. */
  scope: string[] | null;
  created_at: string;
  expires_at: string;
  revoked_at: string | null;
}

export interface Secret {
  secret: string;
  uri: string;
}

export interface OpenSession {
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

export const signInOptions = (): Promise<SignIn> => get('/api/sign-in');

export async function signIn(user: string, password: string, code?: string): Promise<Me> {
  const me = await post<Me>('/api/session', { user, password, ...(code ? { code } : {}) });
  setCsrf(me.csrf);
  return me;
}

export async function currentSession(): Promise<Me> {
  const me = await get<Me>('/api/session');
  setCsrf(me.csrf);
  return me;
}

export async function signOut(): Promise<void> {
  await remove('/api/session');
  setCsrf(null);
}

export const newSecondFactor = (): Promise<Secret> => post('/api/session/second-factor');
export const confirmSecondFactor = (code: string): Promise<void> =>
  put('/api/session/second-factor', { code });
export const dropSecondFactor = (code: string): Promise<void> =>
  remove('/api/session/second-factor', { body: { code } });
export const changePassword = (old: string, fresh: string): Promise<void> =>
  post('/api/session/password', { old, new: fresh });

export const tokens = (): Promise<List<Token>> => get('/api/tokens');
export const makeToken = (
  label: string,
  days: number,
  scope: string[] | null,
): Promise<Token & { token: string }> =>
  post('/api/tokens', { label, days, ...(scope ? { scope } : {}) });
export const revokeToken = (id: string): Promise<void> => remove(`/api/tokens/${part(id)}`);

export const mySessions = (): Promise<List<OpenSession>> => get('/api/sessions');
export const endSession = (id: string): Promise<void> => remove(`/api/sessions/${part(id)}`);
