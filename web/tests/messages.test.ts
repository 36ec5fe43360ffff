// Every message can be put together: signs that the message syntax reads (`@`, `|`, braces) are
// escaped where they are meant as themselves.
import { describe, expect, it } from 'vitest';
import { i18n, type Words } from '@/i18n';

import.meta.glob('../src/**/words.ts', { eager: true });

function keys(words: Words, before = ''): string[] {
  return Object.entries(words).flatMap(([key, value]) => {
    const path = before ? `${before}.${key}` : key;
    return typeof value === 'string' ? [path] : keys(value, path);
  });
}

describe('messages', () => {
  it.each(['zh', 'en'] as const)('are all well formed in %s', (language) => {
    const all = keys(i18n.global.getLocaleMessage(language) as Words);
    expect(all.length).toBeGreaterThan(100);
    for (const key of all) {
      expect(() => i18n.global.t(key, { count: 2 }, { locale: language }), key).not.toThrow();
    }
  });
});
