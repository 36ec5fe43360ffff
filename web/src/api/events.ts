// Live news from the server by server-sent events: one stream for the whole page, while it is seen.
// A browser opens six connections to a host over HTTP/1: tabs that nobody looks at hold none.
import { onScopeDispose, readonly, ref } from 'vue';

export interface DatasetNews {
  id: string;
  at: string;
  /** How many; left out for who does not read all of them. */
  rows?: number;
}

export interface RequestNews {
  id: string;
  state: string;
}

type Listener<T> = (news: T) => void;

const FIRST_WAIT_MS = 2_000;
const WAIT_MS_MAX = 60_000;

const datasets = new Set<Listener<DatasetNews>>();
const requests = new Set<Listener<RequestNews>>();
const gaps = new Set<() => void>();
const connected = ref(false);
/** Somebody is signed in, who wants to hear. */
let wanted = false;
/** There was a time without a stream: what came then was not heard. */
let missed = false;
/** The page has come back into sight and was not brought up to date yet. */
let owed = false;
let stream: EventSource | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let wait = FIRST_WAIT_MS;

function tell<T>(listeners: Set<Listener<T>>, event: MessageEvent<string>): void {
  try {
    const news = JSON.parse(event.data) as T;
    for (const listener of listeners) listener(news);
  } catch {
    // News that cannot be read is no news; the next load brings the state anyway.
  }
}

function tellGap(): void {
  for (const listener of gaps) listener();
}

/** Whether news come in now. */
export const live = readonly(connected);

/** Whether anybody can be looking at this page. */
export const inSight = (): boolean => document.visibilityState !== 'hidden';

function connect(): void {
  clearTimeout(timer);
  if (!wanted || stream || !inSight() || typeof EventSource === 'undefined') return;
  const source = new EventSource('/api/events');
  stream = source;
  source.onopen = () => {
    connected.value = true;
    wait = FIRST_WAIT_MS;
    if (missed || owed) tellGap();
    missed = false;
    owed = false;
  };
  source.onerror = () => {
    connected.value = false;
    missed = true;
    // Without a stream it is brought up to date all the same.
    if (owed) tellGap();
    owed = false;
    // The browser tries again by itself unless the server refused.
    if (source.readyState !== EventSource.CLOSED) return;
    stream = null;
    timer = setTimeout(connect, wait);
    wait = Math.min(wait * 2, WAIT_MS_MAX);
  };
  source.addEventListener('dataset', (event) => tell(datasets, event as MessageEvent<string>));
  source.addEventListener('request', (event) => tell(requests, event as MessageEvent<string>));
}

function disconnect(): void {
  clearTimeout(timer);
  stream?.close();
  stream = null;
  connected.value = false;
}

function seen(): void {
  if (!inSight()) {
    disconnect();
    return;
  }
  owed = stream === null;
  connect();
}

export function openEvents(): void {
  wanted = true;
  document.addEventListener('visibilitychange', seen);
  connect();
}

export function closeEvents(): void {
  wanted = false;
  missed = false;
  owed = false;
  document.removeEventListener('visibilitychange', seen);
  disconnect();
}

function listen<T>(listeners: Set<T>, listener: T): void {
  listeners.add(listener);
  onScopeDispose(() => listeners.delete(listener));
}

/** Listens while the component lives. */
export function onDatasetNews(listener: Listener<DatasetNews>): void {
  listen(datasets, listener);
}

export function onRequestNews(listener: Listener<RequestNews>): void {
  listen(requests, listener);
}

/** Called when news may have been missed: what is shown is asked for again as a whole. */
export function onNewsGap(listener: () => void): void {
  listen(gaps, listener);
}
