// Rows of one fault mended together.
import { flushPromises, mount } from '@vue/test-utils';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { QuarantineRow } from '@/api/quarantine';
import '@/app/words';
import { i18n } from '@/i18n';
import BatchDialog from '@/pages/quarantine/BatchDialog.vue';
import { endOf } from '@/pages/quarantine/faults';
import type { Tell } from '@/pages/quarantine/known';
import '@/pages/quarantine/words';

afterEach(() => vi.unstubAllGlobals());

describe('rows repaired together', () => {
  it('are all taken only where none was left out', () => {
    expect(endOf({ planned: 3, taken: 3, left: 0 })).toBe('all');
    expect(endOf({ planned: 3, taken: 2, left: 1 })).toBe('some');
    expect(endOf({ planned: 3, taken: 2, left: 0 })).toBe('stopped');
    expect(endOf({ planned: 3, taken: 0, left: 1 })).toBe('stopped');
  });

  it('say how many were not tried when they were stopped', async () => {
    const replies: (() => void)[] = [];
    vi.stubGlobal(
      'fetch',
      () => new Promise((done) => replies.push(() => done(new Response(null, { status: 204 })))),
    );
    const rows = ['1', '2', '3'].map((id) => ({
      id,
      line: Number(id),
      field: 'n',
      dataset: 'x.y',
      cells: [{ column: '数', field: 'n', text: '十' }],
    }));
    const dialog = mount(BatchDialog, {
      props: { rows: rows as unknown as QuarantineRow[], tell: {} as Tell },
      global: { plugins: [i18n] },
      attachTo: document.body,
    });
    await flushPromises();
    await dialog.find('td input').setValue('10');
    await dialog.find('form').trigger('submit');
    const stop = dialog.findAll('button').find((one) => one.text() === '停止');
    await stop?.trigger('click');
    replies[0]?.();
    await flushPromises();
    expect(replies).toHaveLength(1);
    expect(dialog.text()).toContain('已停止：收入 1 行，0 行仍不能收入，2 行没有处理');
    dialog.unmount();
  });
});
