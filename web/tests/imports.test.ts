// A file that is being sent: leaving asks first, and what has arrived is carried through.
import { flushPromises, mount, type VueWrapper } from '@vue/test-utils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMemoryHistory, createRouter, RouterView, type Router } from 'vue-router';
import { signIn } from '@/app/session';
import '@/app/words';
import { i18n } from '@/i18n';
import ImportPage from '@/pages/registers/ImportPage.vue';

const title = { zh: '题', en: 'title' };
const PAGE = { resource: { name: title }, owner: true, quality: null };
const ME = {
  user: 'lin',
  organisation: { id: 'o', name: title },
  roles: [],
  permissions: ['import'],
  areas: [],
  csrf: '',
};

class Upload {
  static last: Upload;
  readonly upload: {
    onprogress?: (event: { lengthComputable: boolean; loaded: number; total: number }) => void;
    onload?: () => void;
  } = {};
  onabort?: () => void;
  aborted = false;
  constructor() {
    Upload.last = this;
  }
  open(): void {}
  setRequestHeader(): void {}
  send(): void {}
  abort(): void {
    this.aborted = true;
    this.onabort?.();
  }
}

afterEach(() => vi.unstubAllGlobals());

describe('an import', () => {
  let router: Router;
  let page: VueWrapper;

  beforeEach(async () => {
    vi.stubGlobal('XMLHttpRequest', Upload);
    vi.stubGlobal('fetch', (path: string) =>
      Promise.resolve(new Response(JSON.stringify(path === '/api/session' ? ME : PAGE))),
    );
    await signIn('lin', 'x');
    const empty = { template: '<p />', render: () => null };
    router = createRouter({
      history: createMemoryHistory(),
      routes: [
        { path: '/registers', name: 'registers', component: empty },
        { path: '/registers/:dataset', name: 'register', component: empty },
        { path: '/registers/:dataset/import', component: ImportPage },
      ],
    });
    await router.push('/registers/x.y/import');
    page = mount(RouterView, { global: { plugins: [i18n, router] }, attachTo: document.body });
    await flushPromises();
    const input = page.find<HTMLInputElement>('input[type=file]');
    Object.defineProperty(input.element, 'files', { value: [new File(['a'], 'a.csv')] });
    await input.trigger('change');
    await page.find('form').trigger('submit');
    Upload.last.upload.onprogress?.({ lengthComputable: true, loaded: 1, total: 4 });
    await flushPromises();
  });
  afterEach(() => page.unmount());

  const unloads = (): boolean => {
    return window.dispatchEvent(new Event('beforeunload', { cancelable: true }));
  };
  async function leave(): Promise<void> {
    void router.push('/registers');
    await flushPromises();
  }
  const path = (): string => router.currentRoute.value.path;
  async function press(words: string): Promise<void> {
    const button = page.findAll('dialog button').find((one) => one.text() === words);
    await button?.trigger(button.attributes('type') === 'submit' ? 'submit' : 'click');
    await flushPromises();
  }

  it('that is being sent asks before it is left', async () => {
    expect(unloads()).toBe(false);
    await leave();
    expect(path()).toBe('/registers/x.y/import');
    expect(page.text()).toContain('现在离开会停止上传');
    await press('取消');
    expect(path()).toBe('/registers/x.y/import');
    expect(Upload.last.aborted).toBe(false);

    await leave();
    await page.find('#reason-form').trigger('submit');
    await flushPromises();
    expect(path()).toBe('/registers');
    expect(Upload.last.aborted).toBe(true);
    expect(unloads()).toBe(true);
  });

  it('that has been sent is left to the server', async () => {
    Upload.last.upload.onload?.();
    await flushPromises();
    expect(page.text()).toContain('离开此页不影响导入');
    expect(unloads()).toBe(true);
    await leave();
    expect(path()).toBe('/registers');
    expect(Upload.last.aborted).toBe(false);
  });

  it('that is sent while it is asked stays, so that its end is seen', async () => {
    await leave();
    Upload.last.upload.onload?.();
    await flushPromises();
    expect(path()).toBe('/registers/x.y/import');
    expect(page.text()).not.toContain('现在离开会停止上传');
    expect(Upload.last.aborted).toBe(false);
  });
});
