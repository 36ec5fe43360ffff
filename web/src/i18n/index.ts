// Languages: Chinese first, English complete. Each page brings its own words with its chunk.
import { computed } from 'vue';
import { createI18n } from 'vue-i18n';
import type { Text } from '@/api/types';

export type Language = 'zh' | 'en';

export interface Words {
  [key: string]: string | Words;
}

/** The shape of `T` with other words in it: English must have what Chinese has. */
export type Same<T> = { [K in keyof T]: T[K] extends string ? string : Same<T[K]> };

const KEPT_AS = 'shujin.language';

function first(): Language {
  const kept = globalThis.localStorage?.getItem(KEPT_AS);
  return kept === 'en' || kept === 'zh' ? kept : 'zh';
}

export const i18n = createI18n({
  legacy: false,
  locale: first(),
  fallbackLocale: 'zh',
  messages: { zh: {}, en: {} } as Record<Language, Words>,
});

/** Adds a page's words under its name. Called when the page's module is loaded. */
export function addWords<T extends Words>(name: string, zh: T, en: Same<T>): void {
  i18n.global.mergeLocaleMessage('zh', { [name]: zh });
  i18n.global.mergeLocaleMessage('en', { [name]: en });
}

export const language = computed(() => i18n.global.locale.value as Language);

export function setLanguage(to: Language): void {
  i18n.global.locale.value = to;
  globalThis.localStorage?.setItem(KEPT_AS, to);
  document.documentElement.lang = to === 'zh' ? 'zh-CN' : 'en';
}

/** The words of a text in the language of the screen. */
export function text(of: Text | string | null | undefined): string {
  if (of == null) return '';
  if (typeof of === 'string') return of;
  return of[language.value] || of.zh || of.en;
}
