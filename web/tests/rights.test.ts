// What a user is given: who may not query types the codes of areas, and asks for none.
import { flushPromises, mount } from '@vue/test-utils';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Role } from '@/api/admin';
import { router } from '@/app/router';
import { signIn } from '@/app/session';
import '@/app/words';
import { areaPath } from '@/components/area/names';
import { i18n } from '@/i18n';
import NewUserDialog from '@/pages/admin/NewUserDialog.vue';
import { areasError, readAreas } from '@/pages/admin/rights';
import UsersPage from '@/pages/admin/UsersPage.vue';
import '@/pages/admin/words';

const title = { zh: '题', en: 'title' };
const ROLE: Role = { id: 'reader', title, permissions: [] };

interface Asked {
  path: string;
  body: Record<string, unknown>;
}

async function enter(permissions: string[]): Promise<Asked[]> {
  const asked: Asked[] = [];
  const organisation = { id: 'o', name: title };
  const me = { user: 'lin', organisation, roles: [], permissions, areas: [], csrf: '' };
  vi.stubGlobal('fetch', (path: string, init: RequestInit) => {
    if (path === '/api/session') return Promise.resolve(new Response(JSON.stringify(me)));
    asked.push({ path, body: init.body ? JSON.parse(String(init.body)) : {} });
    return Promise.resolve(new Response('{"items":[],"total":0}'));
  });
  await signIn('lin', 'x');
  return asked;
}
const areasAsked = (asked: readonly Asked[]): number =>
  asked.filter((one) => one.path.startsWith('/api/areas')).length;

afterEach(() => vi.unstubAllGlobals());

describe('typed areas', () => {
  it('are parted by commas or spaces of either width, each once', () => {
    expect(readAreas(' 510104000000,510105000000，510104000000\n 510106000000、')).toEqual([
      '510104000000',
      '510105000000',
      '510106000000',
    ]);
    expect(readAreas('  ')).toEqual([]);
  });

  it('are codes of 12 digits, or of more for grids', () => {
    expect(areasError(['510104000000', '51010401700103'])).toBe('');
    for (const wrong of ['510104', '51010400000x', '010104000000', '锦江区', '5'.repeat(25)]) {
      expect(areasError(['510104000000', wrong])).toContain(wrong);
    }
  });
});

describe('a security officer who may not query', () => {
  it('types areas for a new user, and the tree of areas is not asked for', async () => {
    const asked = await enter(['manage_users']);
    const dialog = mount(NewUserDialog, {
      props: { open: true, roles: [ROLE] },
      global: { plugins: [i18n, router] },
      attachTo: document.body,
    });
    await flushPromises();
    expect(dialog.text()).not.toContain('添加区域');
    const [name, areas] = ['用户名', '区域'].map((label) => {
      const found = dialog.findAll('label').find((one) => one.text().startsWith(label));
      return dialog.find(`[id="${found?.attributes('for')}"]`);
    });
    await name?.setValue('chen');
    await dialog.find('input[type=checkbox]').trigger('change');
    await areas?.setValue('510104000000 51010500');
    await dialog.find('#new-user').trigger('submit');
    await flushPromises();
    expect(dialog.text()).toContain('不是区划代码：51010500');
    expect(asked.some((one) => one.path === '/api/users')).toBe(false);

    await areas?.setValue('510104000000, 510105000000');
    await dialog.find('#new-user').trigger('submit');
    await flushPromises();
    const made = asked.find((one) => one.path === '/api/users');
    expect(made?.body).toMatchObject({ name: 'chen', areas: ['510104000000', '510105000000'] });
    expect(areasAsked(asked)).toBe(0);
    dialog.unmount();
  });

  it('sees the list of users without asking for areas', async () => {
    const asked = await enter(['manage_users']);
    const page = mount(UsersPage, { global: { plugins: [i18n, router] } });
    await flushPromises();
    expect(asked.some((one) => one.path.startsWith('/api/users'))).toBe(true);
    expect(await areaPath('510104000000')).toEqual([]);
    expect(areasAsked(asked)).toBe(0);
    page.unmount();
  });

  it('chooses from the tree once they may query', async () => {
    const asked = await enter(['manage_users', 'query']);
    const dialog = mount(NewUserDialog, {
      props: { open: true, roles: [ROLE] },
      global: { plugins: [i18n, router] },
      attachTo: document.body,
    });
    await flushPromises();
    const add = dialog.findAll('button').find((one) => one.text() === '添加区域');
    await add?.trigger('click');
    await flushPromises();
    expect(areasAsked(asked)).toBe(1);
    dialog.unmount();
  });
});
