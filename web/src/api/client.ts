// The one way to the server: same origin, session cookie, CSRF header, problems as typed errors.
import { attended } from '@/app/presence';
import { Problem, type ProblemBody, unreachable } from './problem';

type Value = string | number | boolean | null | undefined;

export interface Options {
  query?: Record<string, Value>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  accept?: string;
}

const UNSAFE = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

let csrf: string | null = null;
let onLost: () => void = () => undefined;

/** The session's token, sent with every request that changes something. */
export function setCsrf(token: string | null): void {
  csrf = token;
}

/** What to do when the server no longer knows the session. */
export function onSessionLost(action: () => void): void {
  onLost = action;
}

export function address(path: string, query?: Record<string, Value>): string {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value != null && value !== '');
  if (entries.length === 0) return path;
  const words = new URLSearchParams(entries.map(([name, value]) => [name, String(value)]));
  return `${path}?${words}`;
}

/** A part of a path. */
export function part(text: string): string {
  return encodeURIComponent(text);
}

/** Asks and gives the raw answer; anything but success is thrown as a {@link Problem}. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: options.accept ?? 'application/json' };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  if (csrf && UNSAFE.has(method)) headers['x-csrf-token'] = csrf;
  if (!attended()) headers['x-unattended'] = '1';
  Object.assign(headers, options.headers);
  const raw = options.body instanceof Blob || options.body instanceof ArrayBuffer;
  const body = raw ? (options.body as BodyInit) : JSON.stringify(options.body);
  let response: Response;
  try {
    response = await fetch(address(path, options.query), {
      method,
      headers,
      credentials: 'same-origin',
      ...(options.body === undefined ? {} : { body }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') throw thrown;
    throw unreachable(String(thrown));
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  throw path.startsWith('/api/session') ? problem : lost(problem);
}

function lost(problem: Problem): Problem {
  if (problem.code === 'unauthenticated') onLost();
  return problem;
}

async function readProblem(response: Response): Promise<Problem> {
  const wait = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfter = Number.isFinite(wait) ? wait : undefined;
  try {
    const body = (await response.json()) as ProblemBody;
    if (typeof body.code === 'string') return new Problem(body, retryAfter);
  } catch {
    // Not JSON: a proxy in between answered. The status is all there is to say.
  }
  const title = response.statusText || `HTTP ${response.status}`;
  return new Problem({ code: 'unreachable', status: response.status, title }, retryAfter);
}

async function json<T>(method: string, path: string, options?: Options): Promise<T> {
  const response = await send(method, path, options);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

export const get = <T>(path: string, options?: Options): Promise<T> =>
  json<T>('GET', path, options);
export const post = <T>(path: string, body?: unknown, options?: Options): Promise<T> =>
  json<T>('POST', path, { ...options, body: body ?? {} });
export const put = <T>(path: string, body?: unknown, options?: Options): Promise<T> =>
  json<T>('PUT', path, { ...options, body: body ?? {} });
export const patch = <T>(path: string, body?: unknown, options?: Options): Promise<T> =>
  json<T>('PATCH', path, { ...options, body: body ?? {} });
export const remove = <T = void>(path: string, options?: Options): Promise<T> =>
  json<T>('DELETE', path, options);

export interface Upload {
  query?: Record<string, Value>;
  signal?: AbortSignal | undefined;
  /** Called as bytes leave: the share sent, 0 to 1. */
  onSent?: (share: number) => void;
}

/** Sends a file whole. By XMLHttpRequest, because `fetch` does not tell how much has left. */
export function upload<T>(path: string, file: Blob, options: Upload = {}): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const ended = (): void => reject(new DOMException('the upload was stopped', 'AbortError'));
    request.open('POST', address(path, options.query));
    request.setRequestHeader('accept', 'application/json');
    request.setRequestHeader('content-type', 'application/octet-stream');
    if (csrf) request.setRequestHeader('x-csrf-token', csrf);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) options.onSent?.(event.loaded / event.total);
    };
    request.upload.onload = () => options.onSent?.(1);
    request.onload = () => {
      const headers: Record<string, string> = {};
      const wait = request.getResponseHeader('retry-after');
      if (wait !== null) headers['retry-after'] = wait;
      const { status, statusText, responseText } = request;
      const response = new Response(responseText, { status, statusText, headers });
      if (response.ok) resolve(response.json() as Promise<T>);
      else void readProblem(response).then(lost).then(reject);
    };
    request.onerror = () => reject(unreachable('the upload broke off'));
    request.onabort = ended;
    if (options.signal?.aborted) return ended();
    options.signal?.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}
