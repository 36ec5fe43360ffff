// Light or dark: as the system has it, until somebody chooses.
import { readonly, ref } from 'vue';

export type Theme = 'light' | 'dark';

const KEPT_AS = 'shujin.theme';
const system = globalThis.matchMedia?.('(prefers-color-scheme: dark)');
const current = ref<Theme>('light');

export const theme = readonly(current);

function show(to: Theme): void {
  current.value = to;
  document.documentElement.dataset.theme = to;
}

/** What a page wears instead of the reader's choice. */
let worn: Theme | null = null;

function kept(): Theme | null {
  const word = globalThis.localStorage?.getItem(KEPT_AS);
  return word === 'light' || word === 'dark' ? word : null;
}

function showUsual(): void {
  show(worn ?? kept() ?? (system?.matches ? 'dark' : 'light'));
}

export function startTheme(): void {
  showUsual();
  system?.addEventListener('change', showUsual);
}

/** A page that is always dark, or always light, while it is shown; null gives the choice back. */
export function wear(to: Theme | null): void {
  worn = to;
  showUsual();
}

export function setTheme(to: Theme): void {
  globalThis.localStorage?.setItem(KEPT_AS, to);
  show(to);
}

/** A design token's colour as it is now, for what is drawn outside of CSS. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
