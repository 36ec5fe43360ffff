// Who uses a dataset, and how many things lie in an area: what could not be found out is said, and
// not taken for nothing.
import { flushPromises, mount } from '@vue/test-utils';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { DatasetPage } from '@/api/catalogue';
import type { MapLayer } from '@/api/map';
import { router } from '@/app/router';
import { signIn } from '@/app/session';
import '@/app/words';
import { i18n } from '@/i18n';
import { statementsOn } from '@/pages/catalogue/lineage';
import LineageTab from '@/pages/catalogue/tabs/LineageTab.vue';
import '@/pages/catalogue/words';
import { countIn } from '@/pages/map/counts';

const { signal } = new AbortController();
const title = { zh: '题', en: 'title' };

type Reply = [status: number, body: unknown];
const refusal = (status: number): Reply => [status, { code: 'x', status, title: 'no' }];

/** Answers by the beginning of the path, the longest first. */
function serve(replies: Record<string, Reply>): void {
  const begins = Object.keys(replies).sort((a, b) => b.length - a.length);
  vi.stubGlobal('fetch', (path: string) => {
    const [status, body] = replies[begins.find((begin) => path.startsWith(begin)) ?? ''] ?? [404];
    return Promise.resolve(new Response(JSON.stringify(body ?? {}), { status }));
  });
}

const item = (id: string) => ({ id, title, roles: [], home_for: [] });
const board = (id: string, dataset: string) => {
  const sources = [{ dataset, title }];
  const tile = { id: 't', title, kind: 'number', sql: id, columns: [], rows: [], sources };
  return { id, title, tiles: [tile] };
};
const none: Reply = [200, { items: [] }];

afterEach(() => vi.unstubAllGlobals());

describe('statements that read a dataset', () => {
  it('are those of boards that say so; boards that failed are counted', async () => {
    serve({
      '/api/boards': [200, { items: ['a', 'b', 'busy', 'slow', 'shut', 'gone'].map(item) }],
      '/api/boards/a': [200, board('a', 'x.y')],
      '/api/boards/b': [200, board('b', 'other')],
      '/api/boards/busy': refusal(503),
      '/api/boards/slow': refusal(504),
      '/api/boards/shut': refusal(403),
      '/api/boards/gone': refusal(404),
      '/api/queries': [200, { items: [{ id: 'q', title: 'Q', sql: 'SELECT 1' }] }],
    });
    const found = await statementsOn('x.y', signal);
    expect(found.statements.map((one) => one.id)).toEqual(['a/t', 'query/q']);
    expect(found).toMatchObject({ unread: 2, left: 0 });
  });

  it('are counted where there are too many to look at', async () => {
    const many = Array.from({ length: 14 }, (_, at) => item(`b${at}`));
    const queries = Array.from({ length: 70 }, (_, at) => ({ id: `q${at}`, title: '', sql: '' }));
    serve({
      '/api/boards': [200, { items: many }],
      '/api/boards/b': [200, board('b', 'other')],
      '/api/queries': [200, { items: queries }],
    });
    const found = await statementsOn('x.y', signal);
    expect(found.statements).toHaveLength(60);
    expect(found).toMatchObject({ unread: 2, left: 10 });
  });

  it('are none for who may see no boards, and unknown where the list failed', async () => {
    serve({ '/api/boards': refusal(403), '/api/queries': none });
    expect(await statementsOn('x.y', signal)).toEqual({ statements: [], unread: 0, left: 0 });
    serve({ '/api/boards': refusal(503), '/api/queries': none });
    await expect(statementsOn('x.y', signal)).rejects.toMatchObject({ status: 503 });
  });
});

describe('the lineage tab', () => {
  const page = {
    id: 'x.y',
    source_system: 's',
    resource: { name: title, related: [] },
    fields: [],
  } as unknown as DatasetPage;
  const ME = {
    user: 'lin',
    organisation: { id: 'o', name: title },
    roles: [],
    areas: [],
    csrf: '',
  };

  async function said(permissions: string[], boards: Record<string, Reply>): Promise<string> {
    serve({ '/api/session': [200, { ...ME, permissions }], '/api/queries': none, ...boards });
    await signIn('lin', 'x');
    const tab = mount(LineageTab, { props: { page }, global: { plugins: [i18n, router] } });
    await flushPromises();
    const words = tab.text();
    tab.unmount();
    return words;
  }

  it('says that nothing uses it only where all was looked at', async () => {
    const nothing = '都没有用到它';
    const list: Reply = [200, { items: [item('a')] }];
    expect(await said(['query'], { '/api/boards': none })).toContain(nothing);
    const busy = await said(['query'], { '/api/boards': list, '/api/boards/a': refusal(503) });
    expect(busy).toContain('有 1 个看板没有查到');
    expect(busy).not.toContain(nothing);
    expect(await said(['query'], { '/api/boards': refusal(503) })).not.toContain(nothing);
    expect(await said([], {})).toContain('您没有查询权限');
  });
});

describe('a count', () => {
  const layer = { id: 'l', dataset: 'x.y' } as MapLayer;
  const counted = async (reply: Reply) => {
    serve({ '/api/sql': reply });
    return countIn(layer, null, null, signal);
  };

  it('is none for who may not ask, and failed where the server could not tell', async () => {
    for (const status of [403, 404]) {
      expect(await counted(refusal(status))).toEqual({ layer, value: null, sql: null });
    }
    for (const status of [429, 503, 504]) {
      expect(await counted(refusal(status))).toMatchObject({ value: null, failed: true });
    }
    const answer = { columns: [{ name: 'things' }], rows: [{ things: 7 }], row_count: 1 };
    expect(await counted([200, answer])).toMatchObject({ value: 7 });
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
    await expect(countIn(layer, null, null, signal)).rejects.toMatchObject({ status: 0 });
  });
});
