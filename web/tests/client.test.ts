import { afterEach, describe, expect, it, vi } from 'vitest';
import { address, get, post, setCsrf } from '@/api/client';
import { lineage, query } from '@/api/sql';
import type { Problem } from '@/api/problem';
import { safeTarget } from '@/app/router';
import { fromZone, toZone } from '@/app/zone';

function answer(status: number, body: unknown, headers: Record<string, string> = {}): void {
  const response = new Response(JSON.stringify(body), { status, headers });
  vi.stubGlobal(
    'fetch',
    vi.fn(() => Promise.resolve(response)),
  );
}

afterEach(() => {
  vi.unstubAllGlobals();
  setCsrf(null);
});

describe('the client', () => {
  it('leaves out what is not asked', () => {
    expect(address('/api/x', { q: 'a b', limit: 0, none: null, empty: '' })).toBe(
      '/api/x?q=a+b&limit=0',
    );
  });

  it('sends the token with what changes something, and only then', async () => {
    setCsrf('t');
    answer(200, {});
    await post('/api/x', {});
    const posted = vi.mocked(fetch).mock.calls[0]?.[1]?.headers as Record<string, string>;
    expect(posted['x-csrf-token']).toBe('t');
    answer(200, {});
    await get('/api/x');
    const got = vi.mocked(fetch).mock.calls[0]?.[1]?.headers as Record<string, string>;
    expect(got['x-csrf-token']).toBeUndefined();
  });

  it('throws problems with their code, place and number', async () => {
    const body = {
      code: 'syntax',
      status: 400,
      title: 'x',
      line: 2,
      column: 3,
      correlation_id: 'n',
    };
    answer(400, body, { 'retry-after': '5' });
    const problem = (await query({ sql: 'x' }).catch((thrown: unknown) => thrown)) as Problem;
    expect(problem).toMatchObject({ code: 'syntax', line: 2, column: 3, retryAfter: 5 });
    expect(problem.correlation).toBe('n');
  });

  it('does not take an answer that broke off for a whole one', async () => {
    const error = { code: 'timeout', status: 504, title: 'too long' };
    answer(200, { columns: [], rows: [], error });
    await expect(query({ sql: 'x' })).rejects.toMatchObject({ code: 'timeout' });
  });

  it('reads lineage by column', async () => {
    const transformations = [{ type: 'DIRECT', subtype: 'AGGREGATION' }];
    const inputFields = [{ name: 'air.pm25', field: 'pm25', transformations }];
    const columnLineage = { fields: { p: { inputFields } } };
    const facets = { schema: { fields: [{ name: 'p' }, { name: 'n' }] }, columnLineage };
    answer(200, { inputs: [{ name: 'air.pm25' }], outputs: [{ name: 'answer', facets }] });
    const found = await lineage({ sql: 'x' });
    expect(found.columns).toEqual([
      { name: 'p', from: [{ dataset: 'air.pm25', field: 'pm25', how: 'aggregation' }] },
      { name: 'n', from: [] },
    ]);
  });
});

describe('where to go after sign-in', () => {
  it.each([
    ['/sql?at=x', '/sql?at=x'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['/sign-in?to=/sign-in', '/'],
    [undefined, '/'],
  ])('%s is %s', (to, safe) => {
    expect(safeTarget(to)).toBe(safe);
  });
});

describe('the clock of the city', () => {
  it('is not the clock of the laptop', () => {
    const moment = new Date('2026-11-23T16:05:00Z');
    expect(toZone(moment, 'Asia/Shanghai')).toBe('2026-11-24T00:05');
    expect(fromZone('2026-11-24T00:05', 'Asia/Shanghai')).toEqual(moment);
    expect(fromZone('nonsense', 'Asia/Shanghai')).toBeNull();
  });
});
