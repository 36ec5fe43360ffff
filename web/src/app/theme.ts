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

function kept(): Theme | null {
  const word = globalThis.localStorage?.getItem(KEPT_AS);
  return word === 'light' || word === 'dark' ? word : null;
}

export function startTheme(): void {
  show(kept() ?? (system?.matches ? 'dark' : 'light'));
  system?.addEventListener('change', (event) => {
    if (!kept()) show(event.matches ? 'dark' : 'light');
  });
}

export function setTheme(to: Theme): void {
  globalThis.localStorage?.setItem(KEPT_AS, to);
  show(to);
}

/** A design token's colour as it is now, for what is drawn outside of CSS. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
