// The colours of the map: design tokens, read where the map is drawn outside of CSS.
import { token } from '@/app/theme';
import './map.css';

const PARTS = [
  'land',
  'park',
  'water',
  'street',
  'street-case',
  'street-major',
  'street-major-case',
  'metro',
  'boundary',
  'name',
  'name-soft',
  'halo',
  'ink',
  'chosen',
  'inside',
] as const;

export const HUES = [
  'blue',
  'red',
  'purple',
  'pink',
  'green',
  'orange',
  'teal',
  'indigo',
  'grey',
  'amber',
  'brown',
] as const;

export type Hue = (typeof HUES)[number];
export type Palette = Record<(typeof PARTS)[number] | Hue, string>;

/** What packs call the colour of a whole layer, and the hue it has. */
const LAYER_HUES: Record<string, Hue> = {
  facility: 'teal',
  venue: 'pink',
  sensor: 'indigo',
  parcel: 'amber',
  building: 'grey',
  enterprise: 'brown',
};

const isHue = (name: string): name is Hue => (HUES as readonly string[]).includes(name);

/** The hue of a colour's name. A name that nobody knows still has a hue, always the same. */
export function hueOf(name: string | undefined): Hue {
  if (!name) return 'teal';
  if (isHue(name)) return name;
  const known = LAYER_HUES[name];
  if (known) return known;
  let sum = 0;
  for (const char of name) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 9973;
  return HUES[sum % HUES.length] ?? 'teal';
}

export function readPalette(): Palette {
  const names = [...PARTS, ...HUES];
  return Object.fromEntries(names.map((name) => [name, token(`map-${name}`)])) as Palette;
}
