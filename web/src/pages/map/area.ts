// The area that one looks at: what it is, the way down to it, what lies below, their outlines.
import { computed, shallowRef, watch, type Ref } from 'vue';
import type { Feature, FeatureCollection } from 'geojson';
import { area as askArea, areasBelow, topAreas, type Area, type AreaPlace } from '@/api/areas';
import { outline, outlines, type MapLayer, type MapView } from '@/api/map';
import { useLoad } from '@/app/load';
import { area } from '@/app/scope';
import { titleFrom } from '@/components/map/pick';
import { classTitle, isAreas } from '@/components/map/style';
import { language } from '@/i18n';

export interface Looked {
  /** Null: several areas stand at the top, and all of them are looked at. */
  here: Area | null;
  path: AreaPlace[];
  below: Area[];
}

async function look(code: string | null, signal: AbortSignal): Promise<Looked> {
  if (code) {
    const [answer, below] = await Promise.all([askArea(code, signal), areasBelow(code, signal)]);
    const here = answer.items[0] ?? null;
    return { here, path: answer.path ?? [], below: below.items };
  }
  const tops = (await topAreas(signal)).items;
  const only = tops.length === 1 ? tops[0] : undefined;
  if (!only) return { here: null, path: [], below: tops };
  const below = (await areasBelow(only.code, signal)).items;
  const { code: top, name, level } = only;
  return { here: only, path: [{ code: top, name, level }], below };
}

/** The layer of areas in the ground. */
export function areaLayer(view: MapView | undefined): MapLayer | null {
  return view?.base.find(isAreas) ?? null;
}

const PARENT = 'parent';

/** With its code as `code` and its name as `name`, whatever the dataset calls them. */
function named(layer: MapLayer, of: Feature): Feature {
  const own = of.properties ?? {};
  const code: unknown = own[layer.key[0] ?? 'code'] ?? of.id;
  return { ...of, properties: { ...own, code, name: titleFrom(layer, own, language.value) } };
}

export function useArea(view: Ref<MapView | undefined>) {
  const loaded = useLoad((signal) => look(area.value, signal), [area]);
  const layer = computed(() => areaLayer(view.value));
  const shape = shallowRef<Feature | null>(null);
  const children = shallowRef<FeatureCollection | null>(null);
  let running: AbortController | null = null;

  // Outlines make the map better, but it is one without them: a refusal here is no fault.
  watch(
    [() => loaded.data.value, layer, language],
    async ([looked, of]) => {
      running?.abort();
      const mine = new AbortController();
      running = mine;
      shape.value = null;
      children.value = null;
      const code = looked?.here?.code;
      if (!of || !code) return;
      const put = <T>(where: Ref<T | null>, asked: Promise<T>): Promise<void> =>
        asked.then(
          (answer) => {
            if (running === mine) where.value = answer;
          },
          () => undefined,
        );
      await Promise.all([
        // The whole city needs no rim around it.
        area.value
          ? put(
              shape,
              outline(of.dataset, code, mine.signal).then((found) => named(of, found)),
            )
          : null,
        put(
          children,
          outlines(of.dataset, PARENT, code, mine.signal).then(({ features }) => ({
            type: 'FeatureCollection' as const,
            features: features.map((one) => named(of, one)),
          })),
        ),
      ]);
    },
    { immediate: true },
  );

  return { ...loaded, layer, shape, children };
}

/** What a level is called by the layer of areas. */
export function levelTitle(layer: MapLayer | null, level: string): MapLayer['title'] | string {
  return (layer && classTitle(layer, level)) ?? level;
}
