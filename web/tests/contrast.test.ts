// Contrast of the design tokens, by the formula of WCAG 2.2 (relative luminance, 1.4.3 and 1.4.11).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync('src/styles/tokens.css', 'utf8');

function tokens(selector: string): Map<string, string> {
  const from = css.indexOf(`${selector} {`);
  const block = css.slice(from, css.indexOf('}', from));
  const pairs = [...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)];
  return new Map(pairs.map((match) => [match[1] ?? '', match[2] ?? '']));
}

function luminance(colour: string): number {
  const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255);
  const [red = 0, green = 0, blue = 0] = parts.map((part) =>
    part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

const GROUNDS = ['ground', 'surface', 'sunken'];
const TEXTS = ['text', 'text-soft', 'primary', 'ok', 'warn', 'bad'];
const PAIRS: [string, string][] = [
  ...TEXTS.flatMap((text) => GROUNDS.map((ground): [string, string] => [text, ground])),
  ['on-primary', 'primary'],
  ['on-primary', 'primary-strong'],
  ['on-primary-soft', 'primary-soft'],
  ['text', 'primary-soft'],
  ['ok', 'ok-soft'],
  ['warn', 'warn-soft'],
  ['bad', 'bad-soft'],
];
const LINES = ['line-strong', 'focus', ...[1, 2, 3, 4, 5, 6].map((at) => `series-${at}`)];

describe.each([':root', ":root[data-theme='dark']"])('%s', (selector) => {
  const colours = tokens(selector);
  const of = (name: string): string => {
    const colour = colours.get(name);
    if (!colour) throw new Error(`no token --${name}`);
    return colour;
  };

  it('gives text a contrast of 4.5 : 1', () => {
    for (const [text, ground] of PAIRS) {
      expect(contrast(of(text), of(ground)), `${text} on ${ground}`).toBeGreaterThanOrEqual(4.5);
    }
  });

  it('gives lines that mean something a contrast of 3 : 1', () => {
    for (const line of LINES) {
      for (const ground of GROUNDS) {
        expect(contrast(of(line), of(ground)), `${line} on ${ground}`).toBeGreaterThanOrEqual(3);
      }
    }
  });
});
