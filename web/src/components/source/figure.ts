// “Every number can be clicked”: what a figure on a screen carries with it, and the one dialog that
// shows it.
import { readonly, ref, shallowRef } from 'vue';
import type { Source } from '@/api/boards';
import type { Column, Row, Text } from '@/api/types';

export interface Figure {
  title: Text | string;
  /** The statement that gives it. */
  sql: string;
  /** Datasets behind it; asked from the server where left out. */
  sources?: Source[];
  columns?: Column[];
  rows?: Row[];
  note?: string;
}

const current = shallowRef<Figure | null>(null);
const shown = ref(false);

export const figure = readonly(current);
export const figureShown = shown;

/** Shows where a figure comes from. */
export function showSource(of: Figure): void {
  current.value = of;
  shown.value = true;
}

const OPENED = 'shujin.sql';

/** Takes a statement to the SQL bench. */
export function keepForBench(sql: string): void {
  sessionStorage.setItem(OPENED, sql);
}

/** The statement that was brought along, once. */
export function broughtToBench(): string | null {
  const sql = sessionStorage.getItem(OPENED);
  sessionStorage.removeItem(OPENED);
  return sql;
}
