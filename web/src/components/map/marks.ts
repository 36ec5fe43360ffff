// Marks over the map that pages draw themselves, as elements that lie at a place and can be pressed.
// They are for the pointer: whatever can be pressed here has to stand in a list beside the map, too.
import type { MapLibreMap, Marker } from 'maplibre-gl';
import { maplibre } from '../geo/engine';

export interface Mark {
  /** What makes it the same mark at the next drawing. */
  key: string;
  lon: number;
  lat: number;
  /** What it looks like, as one word: another word, and it is drawn anew. */
  look: string;
  /** Said where the pointer rests on it. */
  title: string;
  draw: () => Element;
}

export interface Marks {
  show: (marks: readonly Mark[]) => void;
  end: () => void;
}

interface Kept {
  marker: Marker;
  look: string;
}

/** Keeps marks on a map; those that stay the same are left alone. */
export function keepMarks(map: MapLibreMap, pressed: (key: string) => void): Marks {
  const kept = new Map<string, Kept>();

  function put(mark: Mark): void {
    const element = document.createElement('div');
    element.className = 'map-mark';
    element.setAttribute('aria-hidden', 'true');
    element.title = mark.title;
    element.dataset.key = mark.key;
    element.append(mark.draw());
    element.addEventListener('click', (event) => {
      event.stopPropagation();
      pressed(mark.key);
    });
    const marker = new maplibre.Marker({ element }).setLngLat([mark.lon, mark.lat]).addTo(map);
    kept.set(mark.key, { marker, look: mark.look });
  }

  function drop(key: string): void {
    kept.get(key)?.marker.remove();
    kept.delete(key);
  }

  return {
    show: (marks) => {
      const wanted = new Set(marks.map((mark) => mark.key));
      for (const key of [...kept.keys()]) if (!wanted.has(key)) drop(key);
      for (const mark of marks) {
        const known = kept.get(mark.key);
        if (known && known.look === mark.look) {
          known.marker.setLngLat([mark.lon, mark.lat]);
          continue;
        }
        drop(mark.key);
        put(mark);
      }
    },
    end: () => [...kept.keys()].forEach(drop),
  };
}

const SVG = 'http://www.w3.org/2000/svg';

/** An element of a picture with its attributes. */
export function svg(
  name: string,
  attributes: Record<string, string | number>,
  children: readonly (Element | string)[] = [],
): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}
