import { mount } from '@vue/test-utils';
import { describe, expect, it } from 'vitest';
import DataTable from '@/components/DataTable.vue';
import { charsOf, displayWidth, sorted, windowOf } from '@/components/table';
import { i18n } from '@/i18n';
import '@/app/words';

describe('a table', () => {
  it('draws only what is in view', () => {
    expect(windowOf(0, 360, 36, 1000)).toEqual({ from: 0, to: 18 });
    expect(windowOf(3600, 360, 36, 1000)).toEqual({ from: 92, to: 118 });
    expect(windowOf(1e9, 360, 36, 5)).toEqual({ from: 5, to: 5 });
  });

  it('sorts figures as figures and puts what is missing last', () => {
    const rows = [{ n: 10 }, { n: null }, { n: 9 }];
    expect(sorted(rows, { key: 'n', down: false }).map((row) => row.n)).toEqual([9, 10, null]);
    expect(sorted(rows, { key: 'n', down: true }).map((row) => row.n)).toEqual([10, 9, null]);
  });

  it('knows that Chinese is wide', () => {
    expect(displayWidth('成都ab')).toBe(6);
    expect(charsOf({ key: 'a', title: '名' }, [{ a: '很长很长很长很长' }])).toBe(20);
  });

  it('is walked with the keyboard', async () => {
    const rows = Array.from({ length: 1000 }, (_, at) => ({ id: at }));
    const table = mount(DataTable, {
      props: { columns: [{ key: 'id', title: 'id' }], rows, label: 'rows', openable: true },
      global: { plugins: [i18n] },
      attachTo: document.body,
    });
    expect(table.findAll('tbody tr').length).toBeLessThan(60);
    await table.find('tr[data-at="0"]').trigger('keydown', { key: 'ArrowDown' });
    expect(document.activeElement?.getAttribute('data-at')).toBe('1');
    await table.find('tr[data-at="1"]').trigger('keydown', { key: 'Enter' });
    expect(table.emitted('open')?.[0]).toEqual([{ id: 1 }]);
    table.unmount();
  });
});
