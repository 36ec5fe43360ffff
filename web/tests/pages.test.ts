// Small rules of the pages: facets, the bench's tables, answers that were cut, what goes from page to
// page in the address.
import { describe, expect, it } from 'vitest';
import type { RouteLocationNormalized } from 'vue-router';
import type { DatasetItem } from '@/api/catalogue';
import { closeCut } from '@/api/sql';
import { carry } from '@/app/scope';
import { pages } from '@/app/router';
import { featuresOf, geometryColumn } from '@/components/geo/features';
import { matching, valuesOf } from '@/pages/catalogue/facets';
import { tableName } from '@/pages/catalogue/show';
import { findTables } from '@/pages/sql/schema';

const item = (id: string, theme: string, readable: boolean): DatasetItem => ({
  id,
  theme,
  readable,
  owner: 'o',
  sharing: 'conditional',
  title: { zh: id, en: id },
  description: { zh: '', en: '' },
});

describe('facets', () => {
  const items = [item('a', 'x', true), item('b', 'x', false), item('c', 'y', true)];

  it('leave what has all that is chosen', () => {
    expect(matching(items, { theme: 'x', access: 'readable' }).map((one) => one.id)).toEqual(['a']);
  });

  it('count what the other facets leave', () => {
    expect(valuesOf(items, 'theme', { theme: 'y', access: 'readable' })).toEqual([
      { value: 'x', count: 1 },
      { value: 'y', count: 1 },
    ]);
  });
});

describe('the bench', () => {
  const tables = [{ id: 'air.pm25', columns: [{ name: 'site', type: 'text' }] }];

  it('finds tables by name, title and field', () => {
    for (const words of ['pm25', ' SITE', '空气']) {
      expect(findTables(tables, words, () => '空气质量')).toHaveLength(1);
    }
    expect(findTables(tables, 'nothing', () => '空气质量')).toEqual([]);
  });

  it('puts names in quotes that are no plain words', () => {
    expect(tableName('air.pm25')).toBe('air.pm25');
    expect(tableName('air.Pm"25')).toBe('air."Pm""25"');
  });
});

describe('an answer that was cut', () => {
  it('keeps its whole rows', () => {
    const text = '{"columns":[{"name":"a"}],"rows":[{"a":1},{"a":2},{"a":"},{';
    expect(closeCut(text)).toMatchObject({ rows: [{ a: 1 }, { a: 2 }], row_count: 2, cut: true });
  });

  it('of which no row is whole is a problem', () => {
    expect(() => closeCut('{"columns":[],"rows":[{"a":"xxxxxxxx')).toThrow('too large');
  });
});

describe('area and moment', () => {
  const at = (query: Record<string, string>) => ({ query }) as unknown as RouteLocationNormalized;

  it('go along from page to page', () => {
    expect(carry(at({ q: 'x' }), at({ area: '51', other: 'y' }))).toEqual({ q: 'x', area: '51' });
  });

  it('give way to what the link says', () => {
    expect(carry(at({ area: '52' }), at({ area: '51' }))).toBeNull();
    expect(carry(at({}), at({}))).toBeNull();
  });
});

describe('rows on a map', () => {
  const rows = [
    { name: 'x', geometry: '01010000001fa5f54e37015a40566b7205b2a03e40' },
    { name: 'y', geometry: null },
  ];

  it('are those with a geometry, and say where they are', () => {
    expect(geometryColumn([{ name: 'name' }, { name: 'geometry' }], rows)).toBe('geometry');
    const { features, bounds } = featuresOf(rows, 'geometry');
    expect(features.map((feature) => feature.properties)).toEqual([{ name: 'x' }]);
    expect(bounds?.[0]).toBeCloseTo(104.0189, 3);
  });
});

describe('pages', () => {
  it('have titles in both languages and names of their own', () => {
    const names = pages.map((page) => page.name);
    expect(new Set(names).size).toBe(names.length);
    for (const page of pages) {
      expect(page.meta.title.zh, String(page.path)).not.toBe('');
      expect(page.meta.title.en, String(page.path)).not.toBe('');
    }
  });

  it('stand each at a place of its own in the navigation', () => {
    const places = pages.flatMap(({ meta: { nav } }) => (nav ? [`${nav.group} ${nav.order}`] : []));
    expect(places.length).toBeGreaterThan(5);
    expect(new Set(places).size).toBe(places.length);
  });

  it('are closed to who is not signed in, save the sign-in', () => {
    expect(pages.filter((page) => page.meta.open).map((page) => page.name)).toEqual(['sign-in']);
  });
});
