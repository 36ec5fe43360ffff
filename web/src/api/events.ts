// Live news from the server by server-sent events: one stream for the whole page.
import { onScopeDispose, readonly, ref } from 'vue';

export interface DatasetNews {
  id: string;
  at: string;
  rows: number;
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
const connected = ref(false);
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

/** Whether news come in now. */
export const live = readonly(connected);

export function openEvents(): void {
  if (stream || typeof EventSource === 'undefined') return;
  clearTimeout(timer);
  const source = new EventSource('/api/events');
  stream = source;
  source.onopen = () => {
    connected.value = true;
    wait = FIRST_WAIT_MS;
  };
  source.onerror = () => {
    connected.value = false;
    // The browser tries again by itself unless the server refused.
    if (source.readyState !== EventSource.CLOSED) return;
    stream = null;
    timer = setTimeout(openEvents, wait);
    wait = Math.min(wait * 2, WAIT_MS_MAX);
  };
  source.addEventListener('dataset', (event) => tell(datasets, event as MessageEvent<string>));
  source.addEventListener('request', (event) => tell(requests, event as MessageEvent<string>));
}

export function closeEvents(): void {
  clearTimeout(timer);
  stream?.close();
  stream = null;
  connected.value = false;
}

/** Listens while the component lives. */
export function onDatasetNews(listener: Listener<DatasetNews>): void {
  datasets.add(listener);
  onScopeDispose(() => datasets.delete(listener));
}

export function onRequestNews(listener: Listener<RequestNews>): void {
  requests.add(listener);
  onScopeDispose(() => requests.delete(listener));
}
