// Signing in and out, and what concerns one's own account.
import { get, part, post, put, remove, setCsrf } from './client';
import type { List, Text } from './types';

export interface AreaRef {
  code: string;
  name: Text;
  level: string;
}

export interface Me {
  user: string;
  title?: Text | null;
  organisation: { id: string; name: Text };
  roles: { id: string; title: Text }[];
  permissions: string[];
  areas: AreaRef[];
  second_factor: boolean;
  csrf: string;
  expires_at: string;
}

export interface DemoLogin {
  user: string;
  password: string;
  title: Text | string;
  role: string | { id: string; title: Text };
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
  scope: string[] | string | null;
  created_at: string;
  expires_at: string;
  revoked_at: string | null;
}

export interface Secret {
  secret: string;
  uri: string;
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
export const makeToken = (label: string, days: number): Promise<Token & { token: string }> =>
  post('/api/tokens', { label, days });
export const revokeToken = (id: string): Promise<void> => remove(`/api/tokens/${part(id)}`);
