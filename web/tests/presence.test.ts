import { beforeEach, describe, expect, it, vi } from 'vitest';
import { attended, onWall, PRESENT_MS, watchPresence } from '@/app/presence';
import { get } from '@/api/client';

describe('presence', () => {
  beforeEach(() => onWall(false));

  it('is there until nothing was touched for a while', () => {
    const page = new EventTarget();
    watchPresence(page);
    page.dispatchEvent(new Event('keydown'));
    const now = Date.now();
    expect(attended(now)).toBe(true);
    expect(attended(now + PRESENT_MS + 1)).toBe(false);
    onWall(true);
    expect(attended(now + PRESENT_MS + 1)).toBe(true);
  });

  it('is told to the server with what the page asks by itself', async () => {
    const page = new EventTarget();
    watchPresence(page);
    page.dispatchEvent(new Event('pointerdown'));
    const sent: Record<string, string>[] = [];
    vi.stubGlobal('fetch', (_: string, init: RequestInit) => {
      sent.push(init.headers as Record<string, string>);
      return Promise.resolve(new Response('{}', { status: 200 }));
    });
    await get('/api/map');
    vi.useFakeTimers({ now: Date.now() + 2 * PRESENT_MS });
    await get('/api/map');
    vi.useRealTimers();
    vi.unstubAllGlobals();
    expect(sent.map((headers) => headers['x-unattended'])).toEqual([undefined, '1']);
  });
});
