// Signing in, as somebody does it: the password, the code where one is wanted, what is said when it
// is wrong.
import { flushPromises, mount } from '@vue/test-utils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { router } from '@/app/router';
import { get } from '@/api/client';
import { me, signIn, signOut } from '@/app/session';
import UserMenu from '@/app/UserMenu.vue';
import '@/app/words';
import { i18n } from '@/i18n';
import SignInPage from '@/pages/signin/SignInPage.vue';

const ME = {
  user: 'lin',
  organisation: { id: 'o', name: { zh: '单位', en: 'office' } },
  roles: [],
  permissions: ['query'],
  areas: [],
  second_factor: true,
  csrf: 'token',
  expires_at: null,
};
const OPTIONS = {
  city: { code: '1', name: { zh: '市', en: 'City' }, zone: 'Asia/Shanghai' },
  password: true,
  oidc: [],
  demo: null,
};

const asked: { user: string; password: string; code?: string }[] = [];

function reply(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

function serve(path: string, init: RequestInit): Response {
  if (path === '/api/sign-in') return reply(200, OPTIONS);
  if (init.method !== 'POST')
    return reply(401, { code: 'unauthenticated', status: 401, title: '' });
  const body = JSON.parse(String(init.body)) as (typeof asked)[number];
  asked.push(body);
  if (body.user === 'busy') {
    return reply(429, { code: 'throttled', status: 429, title: '' }, { 'retry-after': '30' });
  }
  if (body.password !== 'right') {
    return reply(401, { code: 'unauthenticated', status: 401, title: '' });
  }
  if (body.code !== '123456') return reply(401, { code: 'second_factor', status: 401, title: '' });
  return reply(200, ME);
}

async function fill(page: ReturnType<typeof mount>, name: string, value: string): Promise<void> {
  await page.find(`input[name="${name}"]`).setValue(value);
}

async function submit(page: ReturnType<typeof mount>): Promise<void> {
  await page.find('form').trigger('submit');
  await flushPromises();
}

beforeEach(() => {
  asked.length = 0;
  vi.stubGlobal(
    'fetch',
    vi.fn((path: string, init: RequestInit) => Promise.resolve(serve(path, init))),
  );
});
afterEach(() => vi.unstubAllGlobals());

describe('signing in', () => {
  it('asks for the code when one is wanted, and says what is wrong', async () => {
    const page = mount(SignInPage, { global: { plugins: [i18n, router] } });
    await flushPromises();
    await submit(page);
    expect(asked).toEqual([]);
    expect(page.text()).toContain('请填写用户名和密码');

    await fill(page, 'username', 'lin');
    await fill(page, 'password', 'wrong');
    await submit(page);
    expect(page.text()).toContain('用户名或密码不正确');

    await fill(page, 'password', 'right');
    await submit(page);
    expect(page.find('input[name="code"]').exists()).toBe(true);
    expect(page.text()).not.toContain('验证码不正确');

    await fill(page, 'code', '000000');
    await submit(page);
    expect(page.text()).toContain('验证码不正确');

    await fill(page, 'code', '123 456');
    await submit(page);
    expect(asked.at(-1)).toEqual({ user: 'lin', password: 'right', code: '123456' });
    expect(me.value?.user).toBe('lin');
    page.unmount();
  });

  it('ends when the server no longer knows the session', async () => {
    await signIn('lin', 'right', '123456');
    expect(me.value?.user).toBe('lin');
    const lost = { code: 'unauthenticated', status: 401, title: '' };
    vi.stubGlobal('fetch', () => Promise.resolve(reply(401, lost)));
    await expect(get('/api/datasets')).rejects.toMatchObject({ status: 401 });
    expect(me.value).toBeNull();
  });

  it('is not undone by a sign-out that failed', async () => {
    await signIn('lin', 'right', '123456');
    const menu = mount(UserMenu, { global: { plugins: [i18n, router] } });
    await menu.find('button').trigger('click');
    const out = menu.findAll('button.item').at(-1);
    for (const status of [503, 429]) {
      const busy = { code: 'busy', status, title: '' };
      vi.stubGlobal('fetch', () => Promise.resolve(reply(status, busy)));
      await out?.trigger('click');
      await flushPromises();
      expect(me.value?.user).toBe('lin');
      expect(menu.text()).toContain('您仍在登录状态');
    }
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
    await expect(signOut()).rejects.toMatchObject({ code: 'unreachable' });
    expect(me.value?.user).toBe('lin');
    menu.unmount();
  });

  it.each([204, 401])('is undone by a sign-out that is answered %i', async (status) => {
    await signIn('lin', 'right', '123456');
    const body = status === 401 ? { code: 'unauthenticated', status, title: '' } : null;
    const answer = new Response(body && JSON.stringify(body), { status });
    vi.stubGlobal('fetch', () => Promise.resolve(answer));
    await signOut();
    expect(me.value).toBeNull();
  });

  it('says how long to wait after too many attempts', async () => {
    const page = mount(SignInPage, { global: { plugins: [i18n, router] } });
    await flushPromises();
    await fill(page, 'username', 'busy');
    await fill(page, 'password', 'x');
    await submit(page);
    expect(page.text()).toContain('30');
    page.unmount();
  });
});
