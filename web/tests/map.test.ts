// The map: what the server says of it becomes a style that MapLibre takes; addresses, cameras and
// counts; contrast of the map's own colours.
import { readFileSync } from 'node:fs';
import { validateStyleMin } from '@maplibre/maplibre-gl-style-spec';
import { describe, expect, it } from 'vitest';
import { joinKey, type MapLayer, type MapView } from '@/api/map';
import { boxOf, cameraOf, cameraText } from '@/components/map/camera';
import { faultIn, faultOf, keepFaults, missingOf } from '@/components/map/faults';
import { hueOf, HUES, type Palette } from '@/components/map/palette';
import { distinct, pickedFrom, titleFrom } from '@/components/map/pick';
import { nameOf, signOf, SIGNS } from '@/components/map/signs';
import { classesOf, shapeOf, styleOf, type StyleState } from '@/components/map/style';
import { groundText, layersText, shownGround, shownLayers, usual } from '@/pages/map/address';
import { countSql, prefixOf } from '@/pages/map/counts';

const css = readFileSync('src/components/map/map.css', 'utf8');

function colours(selector: string): Palette {
  const from = css.indexOf(`${selector} {`);
  const block = css.slice(from, css.indexOf('}', from));
  const pairs = [...block.matchAll(/--map-([\w-]+):\s*(#[0-9a-f]{6});/g)];
  return Object.fromEntries(pairs.map((match) => [match[1], match[2]])) as Palette;
}

const title = (zh: string, en: string) => ({ zh, en });
const GROUND = title('底图', 'Base map');
const layer = (id: string, of: Partial<MapLayer>): MapLayer => ({
  id,
  dataset: `place.${id}`,
  title: title(id, id),
  group: GROUND,
  geometry: 'point',
  minzoom: 10,
  maxzoom: 16,
  fields: [],
  title_field: 'name',
  key: ['id'],
  style: {},
  ...of,
});
const KINDS = [
  { value: 'school', title: title('学校', 'School'), colour: 'blue', icon: 'school' },
  { value: 'clinic', title: title('诊所', 'Clinic'), colour: 'red', icon: 'health' },
];
const LEVELS = ['city', 'district', 'street'].map((value) => ({ value }));
const VIEW: MapView = {
  centre: [104.07, 30.66],
  bounds: [103, 30, 105, 31.4],
  zoom: 9,
  base: [
    layer('area', {
      dataset: 'place.boundary',
      geometry: 'polygon',
      key: ['code'],
      style: { kind: 'line', class: 'level', classes: LEVELS, colour: 'boundary' },
    }),
    layer('park', { geometry: 'polygon', style: { kind: 'fill', colour: 'park' } }),
    layer('street', {
      geometry: 'line',
      style: { kind: 'line', class: 'class', classes: LEVELS, colour: 'street' },
    }),
    layer('metro', { geometry: 'line', style: { kind: 'line', colour: 'metro' } }),
    layer('station', { style: { kind: 'circle', colour: 'metro' } }),
    layer('area_name', { dataset: 'place.boundary', style: { kind: 'label', class: 'level' } }),
  ],
  layers: [
    layer('facility', {
      title_field_en: 'name_en',
      style: { kind: 'circle', class: 'kind', classes: KINDS, shown: true },
    }),
    layer('sensor', { style: { kind: 'circle', colour: 'sensor' } }),
    layer('parcel', {
      geometry: 'polygon',
      style: { kind: 'fill', class: 'use', classes: KINDS, colour: 'parcel' },
    }),
  ],
};

function state(change: Partial<StyleState> = {}): StyleState {
  return {
    view: VIEW,
    shown: new Set([...VIEW.base, ...VIEW.layers].map((one) => one.id)),
    language: 'zh',
    at: null,
    origin: 'https://city.example',
    palette: colours(':root'),
    overlay: { outline: null, children: null, chosen: null },
    hovered: null,
    scale: 1,
    ...change,
  };
}

describe('the style', () => {
  it('is one that MapLibre takes, with every layer and without', () => {
    for (const change of [
      {},
      { language: 'en' as const, at: '2026-01-01T00:00:00Z', hovered: '51' },
    ]) {
      expect(validateStyleMin(styleOf(state(change)))).toEqual([]);
    }
    expect(validateStyleMin(styleOf(state({ shown: new Set() })))).toEqual([]);
  });

  it('asks only its own origin, and for no letters', () => {
    const style = styleOf(state());
    expect(style.glyphs).toBeUndefined();
    expect(style.sprite).toBeUndefined();
    const addresses = JSON.stringify(style).match(/https?:[^"]*/g) ?? [];
    expect(addresses.length).toBeGreaterThan(5);
    expect(addresses.filter((one) => !one.startsWith('https://city.example/tiles/'))).toEqual([]);
  });

  it('draws what is shown and nothing else', () => {
    const ids = styleOf(state({ shown: new Set(['facility']) })).layers.map((one) => one.id);
    expect(ids.some((id) => id.startsWith('facility/'))).toBe(true);
    expect(ids.filter((id) => id.startsWith('sensor/') || id.startsWith('park/'))).toEqual([]);
  });

  it('asks for the tiles of the moment that is shown', () => {
    const at = '2026-01-01T08:00:00Z';
    const source = styleOf(state({ at })).sources['tiles/facility'];
    expect(source).toMatchObject({
      tiles: [`https://city.example/tiles/facility/{z}/{x}/{y}?as_of=${encodeURIComponent(at)}`],
    });
  });

  it('darkens what is outside of the area', () => {
    const ring = [
      [104, 30],
      [104.1, 30],
      [104.1, 30.1],
      [104, 30],
    ];
    const geometry = { type: 'Polygon' as const, coordinates: [ring] };
    const outline = { type: 'Feature' as const, geometry, properties: {} };
    const style = styleOf(state({ overlay: { outline, children: null, chosen: null } }));
    expect(JSON.stringify(style.sources['over/outside'])).toContain(JSON.stringify(ring));
    expect(validateStyleMin(style)).toEqual([]);
  });

  it('gives names the classes of what they name, and each layer of points its shape', () => {
    const [name] = VIEW.base.slice(-1);
    expect(classesOf(name as MapLayer, VIEW.base)).toEqual(LEVELS);
    const shapes = VIEW.layers.slice(0, 2).map((one) => shapeOf(one, VIEW.layers));
    expect(new Set(shapes).size).toBe(2);
  });
});

describe('signs', () => {
  it('are all said by their names', () => {
    const sign = { shape: 'diamond', fill: '#123456', ink: '#ffffff', icon: 'bus' } as const;
    expect(signOf(nameOf(sign))).toEqual(sign);
    expect(signOf(nameOf({ ...sign, icon: null }))).toEqual({ ...sign, icon: null });
    expect(signOf('something-else')).toBeNull();
    expect(Object.keys(SIGNS).length).toBeGreaterThan(15);
  });

  it('have a hue for any name, always the same', () => {
    expect(hueOf('red')).toBe('red');
    expect(HUES).toContain(hueOf('no such colour'));
    expect(hueOf('no such colour')).toBe(hueOf('no such colour'));
  });
});

describe('things on the map', () => {
  const facility = VIEW.layers[0] as MapLayer;
  const geometry = { type: 'Point' as const, coordinates: [104, 30] };
  const thing = (id: string) =>
    pickedFrom(facility, { properties: { id, name: '甲', name_en: 'A' }, geometry }, 'zh');

  it('have the key of the object and a name in the reader’s language', () => {
    expect(thing('a~b/1').key).toBe('a~b%2F1');
    expect(titleFrom(facility, { name: '甲', name_en: 'A' }, 'en')).toBe('A');
    expect(titleFrom(facility, { name: '甲' }, 'en')).toBe('甲');
    expect(pickedFrom(facility, { properties: {}, geometry }, 'zh').key).toBeNull();
    expect(joinKey(['a b', 2])).toBe('a%20b~2');
  });

  it('are counted once, whatever number of tiles they lie in', () => {
    expect(distinct([thing('1'), thing('2'), thing('1')]).map((one) => one.key)).toEqual([
      '1',
      '2',
    ]);
  });
});

describe('layers that did not come', () => {
  it('are closed, too large or failed, by the status of the answer', () => {
    expect([401, 403, 404].map(faultOf)).toEqual(['closed', 'closed', 'closed']);
    expect(faultOf(413)).toBe('too_large');
    expect([0, 429, 500, 503].map(faultOf)).toEqual(Array(4).fill('failed'));
  });

  it('are known from what MapLibre tells', () => {
    const error = Object.assign(new Error('Forbidden'), { status: 403 });
    expect(faultIn({ sourceId: 'tiles/parcel', error })).toEqual(['parcel', 'closed']);
    expect(faultIn({ sourceId: 'tiles/parcel' })).toEqual(['parcel', 'failed']);
    expect(faultIn({ sourceId: 'over/outside', error })).toBeNull();
    expect(faultIn({ error })).toBeNull();
  });

  it('are said to be missing, those that one may not see first', () => {
    const faults = { sensor: 'failed', facility: 'closed', other: 'closed' } as const;
    const said = missingOf(VIEW.layers, faults);
    expect(said.map((one) => [one.fault, one.layers.map((of) => of.id)])).toEqual([
      ['closed', ['facility']],
      ['failed', ['sensor']],
    ]);
    expect(keepFaults(faults, (id) => id !== 'other')).toEqual({
      sensor: 'failed',
      facility: 'closed',
    });
  });
});

describe('the address', () => {
  it('carries the camera there and back, and refuses nonsense', () => {
    const camera = { lon: 104.06572, lat: 30.65741, zoom: 12.25 };
    expect(cameraOf(cameraText(camera))).toEqual(camera);
    for (const text of ['', '1,2', '1,2,3,4', 'a,b,c', '99,0,3', '0,0,99', null, '30,,9']) {
      expect(cameraOf(text), String(text)).toBeNull();
    }
  });

  it('says only what is not usual', () => {
    expect(usual(VIEW)).toEqual(['facility']);
    expect(layersText(VIEW, ['facility'])).toBeUndefined();
    expect(shownLayers(VIEW, { layers: layersText(VIEW, []) ?? null })).toEqual([]);
    expect(shownLayers(VIEW, { layers: 'sensor,facility,unknown' })).toEqual([
      'facility',
      'sensor',
    ]);
    const rest = VIEW.base.map((one) => one.id).filter((id) => id !== 'park');
    expect(groundText(VIEW, rest)).toBe('park');
    expect(shownGround(VIEW, { without: 'park' })).toEqual(rest);
  });

  it('knows the box around a geometry', () => {
    expect(
      boxOf([
        [
          [1, 5],
          [3, 2],
        ],
      ]),
    ).toEqual([1, 2, 3, 5]);
    expect(boxOf([])).toBeNull();
  });
});

describe('counts', () => {
  it('narrow to the codes within an area', () => {
    expect(prefixOf('510100000000')).toBe('5101');
    expect(prefixOf('510104000000')).toBe('510104');
    expect(prefixOf('510104017000')).toBe('510104017');
    expect(prefixOf('510104017001')).toBe('510104017001');
    expect(prefixOf('51010401700103')).toBe('51010401700103');
    expect(countSql('place.facility', 'area_code', '510104000000')).toContain(
      "starts_with(area_code, '510104')",
    );
    expect(countSql('place.facility', null, null)).not.toContain('WHERE');
  });
});

function luminance(colour: string): number {
  const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255);
  const [red = 0, green = 0, blue = 0] = parts.map((part) =>
    part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

describe.each([':root', ":root[data-theme='dark']"])('colours of %s', (selector) => {
  const of = colours(selector);

  it('let names be read on land and in their halo', () => {
    for (const name of ['name', 'name-soft'] as const) {
      for (const ground of ['land', 'halo', 'park', 'water'] as const) {
        expect(contrast(of[name], of[ground]), `${name} on ${ground}`).toBeGreaterThanOrEqual(4.5);
      }
    }
  });

  it('let signs be told from the land and their pictures from the signs', () => {
    for (const hue of HUES) {
      expect(contrast(of[hue], of.land), hue).toBeGreaterThanOrEqual(4.5);
      expect(contrast(of[hue], of.ink), hue).toBeGreaterThanOrEqual(4.5);
    }
    for (const line of ['chosen', 'inside', 'boundary', 'metro'] as const) {
      expect(contrast(of[line], of.land), line).toBeGreaterThanOrEqual(3);
    }
  });
});
