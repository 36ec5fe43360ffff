// What coded values are called: in both languages, on every screen, with the code at hand.
import { mount } from '@vue/test-utils';
import { afterEach, describe, expect, it } from 'vitest';
import type { DatasetPage } from '@/api/catalogue';
import type { MapLayer } from '@/api/map';
import type { RegisterField } from '@/api/registers';
import '@/app/words';
import { tableColumns } from '@/components/columns';
import { className, classTitle, styleOf } from '@/components/map/style';
import { readRefusal } from '@/components/refusal/refusal';
import { cellHint, cellText } from '@/components/table';
import { i18n, setLanguage } from '@/i18n';
import { codeBehind, labelAndCode, labelOf } from '@/i18n/label';
import FieldsTab from '@/pages/catalogue/tabs/FieldsTab.vue';
import '@/pages/catalogue/words';
import { levelTitle } from '@/pages/map/area';
import FieldInput from '@/pages/registers/FieldInput.vue';
import { columnsOf, nameFirst, valueText, type Names } from '@/pages/registers/show';

const labels = {
  urgent: { zh: '紧急', en: 'Urgent' },
  ordinary: { zh: '一般', en: 'Ordinary' },
};
const field: RegisterField = {
  name: 'urgency',
  title: { zh: '紧急程度', en: 'Urgency' },
  unit: null,
  type: 'text',
  required: true,
  codes: ['urgent', 'ordinary'],
  labels,
  masked: false,
};
const names: Names = { organisation: (id) => id, district: () => '' };

afterEach(() => setLanguage('zh'));

describe('a coded value', () => {
  it('is called by its name in the language of the screen, others by themselves', () => {
    expect(labelOf(field, 'urgent')).toBe('紧急');
    setLanguage('en');
    expect(labelOf(field, 'urgent')).toBe('Urgent');
    for (const unknown of ['later', 'constructor', ''])
      expect(labelOf(field, unknown)).toBe(unknown);
    expect(labelOf({}, 'urgent')).toBe('urgent');
    expect(labelOf(undefined, 'urgent')).toBe('urgent');
  });

  it('has its code at hand where the code is not what is shown', () => {
    expect(codeBehind(field, 'urgent')).toBe('urgent');
    expect(codeBehind(field, 'later')).toBeUndefined();
    expect(codeBehind(field, null)).toBeUndefined();
    expect(labelAndCode(field, 'urgent')).toBe('紧急（urgent）');
    expect(labelAndCode(field, 'later')).toBe('later');
  });
});

describe('tables and pages', () => {
  it('show names and tell codes to who rests on them', () => {
    const rows = [{ urgency: 'urgent' }, { urgency: 'later' }, { urgency: null }];
    for (const [column] of [
      tableColumns([{ name: 'urgency', type: 'Utf8', labels }], rows),
      columnsOf([field], names),
    ]) {
      if (!column) throw new Error('there is a column');
      expect(rows.map((row) => cellText(column, row))).toEqual(['紧急', 'later', '—']);
      expect(rows.map((row) => cellHint(column, row))).toEqual(['紧急（urgent）', 'later', '—']);
    }
    expect(valueText(field, 'ordinary', names)).toBe('一般');
  });

  it('call no row by a coded title', () => {
    const title = { ...field, name: 'title' };
    expect(nameFirst([field, title]).map((one) => one.name)).toEqual(['urgency', 'title']);
    expect(nameFirst([field, { ...title, codes: [] }])[0]?.name).toBe('title');
  });

  it('list a few codes with their names, and open many', () => {
    const many = Array.from({ length: 30 }, (_, at) => `code_${at}`);
    const of = (name: string, codes: string[]) => ({
      ...field,
      name,
      codes,
      description: { zh: '', en: '' },
      class: 'general',
      level: 1,
      pii: 'none',
      seen: { as: 'plain' as const },
    });
    const statistics = { fields: { few: { null_share: 0, min: 'ordinary', max: 'urgent' } } };
    const page = { key: [], fields: [of('few', field.codes), of('many', many)], statistics };
    const tab = mount(FieldsTab, {
      props: { page: page as unknown as DatasetPage },
      global: { plugins: [i18n] },
    });
    expect(tab.text()).toContain('取值：紧急（urgent）、一般（ordinary）');
    expect(tab.find('.range').text()).toBe('一般 … 紧急');
    expect(tab.find('summary').text()).toBe('取值 30 种');
  });
});

describe('a form', () => {
  const input = (value: string) =>
    mount(FieldInput, {
      props: { field, modelValue: value },
      global: { plugins: [i18n] },
    });

  it('offers names and sends codes', async () => {
    const form = input('ordinary');
    const options = form.findAll('option').slice(1);
    expect(options.map((one) => one.text())).toEqual(['紧急', '一般']);
    expect(options.map((one) => one.attributes('value'))).toEqual(field.codes);
    await form.find('select').setValue('urgent');
    expect(form.emitted('update:modelValue')).toEqual([['urgent']]);
  });

  it('still shows a value that is no longer among the codes', () => {
    const chosen = input('later').find('select').element;
    expect(chosen.value).toBe('later');
  });
});

describe('a refusal', () => {
  it('names the codes that would do, wherever the field is named', () => {
    const contract = {
      fields: ['urgency'],
      rules: new Map(),
      coded: new Map([['urgency', field]]),
    };
    const said = 'expected one of ordinary, urgent, …, found `soon`';
    const words = '应为下列之一：一般（ordinary）、紧急（urgent）、…，现为“soon”';
    expect(readRefusal(`urgency: ${said}`, contract).words).toBe(words);
    expect(readRefusal(said, contract, 'urgency').words).toBe(words);
    expect(readRefusal(said, { ...contract, coded: new Map() }, 'urgency').words).toContain(
      '下列之一：ordinary, urgent, …',
    );
  });
});

describe('the map', () => {
  const layer: MapLayer = {
    id: 'call',
    dataset: 'casework.call',
    title: { zh: '诉求', en: 'Calls' },
    group: { zh: '服务', en: 'Services' },
    geometry: 'polygon',
    minzoom: 5,
    maxzoom: 16,
    fields: [{ ...field, masked: false }],
    key: ['id'],
    style: { kind: 'fill', class: 'urgency', colour: 'call' },
  };

  it('calls classes by its own word, else by the field’s', () => {
    expect(className(layer, 'urgent', 'zh')).toBe('紧急');
    expect(className(layer, 'urgent', 'en')).toBe('Urgent');
    expect(className(layer, 'later', 'zh')).toBe('later');
    const classes = [{ value: 'urgent', title: { zh: '急', en: 'Now' } }, { value: 'ordinary' }];
    const drawn = { ...layer, style: { ...layer.style, classes } };
    expect(className(drawn, 'urgent', 'zh')).toBe('急');
    expect(className(drawn, 'ordinary', 'zh')).toBe('一般');
  });

  it('calls levels as the pack does, and by its own words where the pack has none', () => {
    const areas = { ...layer, style: { kind: 'line' as const, class: 'level' } };
    expect(levelTitle(areas, 'city')).toEqual({ zh: '市', en: 'City' });
    const district = { zh: '区（市）县', en: 'District' };
    const level = { name: 'level', title: field.title, type: 'text', labels: { district } };
    const named = { ...areas, fields: [level] };
    expect(levelTitle(named, 'district')).toEqual(district);
    expect(classTitle(named, 'street')?.zh).toBe('街道（镇）');
    expect(levelTitle(named, 'hamlet')).toBe('hamlet');
    expect(levelTitle(null, 'city')).toBe('city');
  });

  it('writes names on areas that are told apart by colour', () => {
    const view = { centre: [0, 0], bounds: [0, 0, 1, 1], zoom: 9, base: [], layers: [layer] };
    const style = styleOf({
      view: view as never,
      shown: new Set(['call']),
      language: 'zh',
      at: null,
      origin: 'https://city.example',
      palette: {} as never,
      overlay: { outline: null, children: null, chosen: null },
      hovered: null,
      scale: 1,
    });
    const name = style.layers.find((one) => one.id === 'call/name');
    expect(JSON.stringify(name)).toContain('"urgent","紧急","ordinary","一般"');
  });
});
