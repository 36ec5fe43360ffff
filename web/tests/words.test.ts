// Words: English says all that Chinese says, every key that the source uses is there, and no key is
// there that nothing uses.
import { describe, expect, it } from 'vitest';
import { i18n, type Words } from '@/i18n';

const pages = import.meta.glob('../src/**/words.ts', { eager: true });
const files = import.meta.glob<string>('../src/**/*.{vue,ts}', {
  eager: true,
  query: '?raw',
  import: 'default',
});

function keys(words: Words, before = ''): string[] {
  return Object.entries(words).flatMap(([key, value]) => {
    const path = before ? `${before}.${key}` : key;
    return typeof value === 'string' ? [path] : keys(value, path);
  });
}

function word(words: Words, path: string): string {
  const found = path.split('.').reduce<string | Words | undefined>((at, key) => {
    return typeof at === 'object' ? at[key] : undefined;
  }, words);
  return typeof found === 'string' ? found : '';
}

const zh = i18n.global.getLocaleMessage('zh') as Words;
const en = i18n.global.getLocaleMessage('en') as Words;
const all = keys(zh);

/** What the source asks for: whole keys, and beginnings of keys that are put together. */
function used(): { whole: Set<string>; begun: Set<string> } {
  const whole = new Set<string>();
  const begun = new Set<string>();
  for (const [path, text] of Object.entries(files)) {
    if (path.endsWith('/words.ts')) continue;
    for (const match of text.matchAll(/\bt\(\s*'([\w.]+)'/g)) whole.add(match[1] ?? '');
    for (const match of text.matchAll(/`([\w]+(?:\.[\w]+)*\.)\$\{/g)) begun.add(match[1] ?? '');
    // A choice of two keys: t(yes ? 'a.b' : 'a.c').
    for (const match of text.matchAll(/'([a-z]\w*(?:\.\w+)+)'/gi)) {
      if (all.includes(match[1] ?? '')) whole.add(match[1] ?? '');
    }
  }
  return { whole, begun };
}

describe('words', () => {
  const { whole, begun } = used();

  it('are found at all', () => {
    expect(Object.keys(pages).length).toBeGreaterThan(1);
    expect(all.length).toBeGreaterThan(100);
    expect(whole.size).toBeGreaterThan(50);
  });

  it('are the same in both languages', () => {
    expect(keys(en).sort()).toEqual([...all].sort());
  });

  it('are none of them empty, and take the same values', () => {
    const places = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
    for (const key of all) {
      expect(word(zh, key), key).not.toBe('');
      expect(word(en, key), key).not.toBe('');
      expect(places(word(en, key)), key).toEqual(places(word(zh, key)));
    }
  });

  it('are there wherever the source asks for them', () => {
    const missing = [...whole].filter((key) => !all.includes(key));
    expect(missing).toEqual([]);
    const lost = [...begun].filter((begin) => /^[a-z]\w*\./i.test(begin) && isWords(begin));
    expect(lost.filter((begin) => !all.some((key) => key.startsWith(begin)))).toEqual([]);
  });

  it('are all used', () => {
    const idle = all.filter((key) => {
      return !whole.has(key) && ![...begun].some((begin) => key.startsWith(begin));
    });
    expect(idle).toEqual([]);
  });
});

describe('words of a page', () => {
  // Words come with the chunk of their page: used elsewhere, they may not be there yet.
  const homes = new Map<string, string>();
  for (const [path, text] of Object.entries(files)) {
    if (!path.endsWith('/words.ts')) continue;
    const folder = path.replace('words.ts', '');
    for (const match of text.matchAll(/addWords\(\s*'(\w+)'/g)) homes.set(match[1] ?? '', folder);
  }

  it('are used in its folder alone', () => {
    const strays: string[] = [];
    for (const [path, text] of Object.entries(files)) {
      if (path.endsWith('/words.ts')) continue;
      for (const match of text.matchAll(/\bt\(\s*['`](\w+)\./g)) {
        const home = homes.get(match[1] ?? '');
        if (home && !home.startsWith('../src/app/') && !path.startsWith(home)) {
          strays.push(`${path}: ${match[1]}`);
        }
      }
    }
    expect(strays).toEqual([]);
  });

  it('are imported by what the router loads', () => {
    const roots = Object.keys(files).filter((path) => /pages\/\w+\/routes\.ts$/.test(path));
    for (const root of roots) {
      const folder = root.replace('routes.ts', '');
      const text = files[root] ?? '';
      for (const match of text.matchAll(/import\('\.\/([\w/]+\.vue)'\)/g)) {
        const page = files[`${folder}${match[1]}`] ?? '';
        expect(page, `${folder}${match[1]}`).toContain("import './words'");
      }
    }
  });
});

/** Whether a beginning like `home.` names a set of words rather than, say, a file. */
function isWords(begin: string): boolean {
  return (begin.split('.')[0] as string) in zh;
}
