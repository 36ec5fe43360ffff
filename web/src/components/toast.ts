// Short words that something was done. They leave by themselves; failures do not come here.
import { readonly, ref } from 'vue';

export interface Toast {
  id: number;
  words: string;
}

const SHOWN_MS = 5_000;
const SHOWN_MAX = 3;

const all = ref<Toast[]>([]);
let next = 0;

export const toasts = readonly(all);

export function toast(words: string): void {
  const id = next++;
  all.value = [...all.value, { id, words }].slice(-SHOWN_MAX);
  setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number): void {
  all.value = all.value.filter((one) => one.id !== id);
}
