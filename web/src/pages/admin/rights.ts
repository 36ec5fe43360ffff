// What a user is given: organisation, roles and areas, and what is wrong with a choice of them.
import type { Role } from '@/api/admin';
import { i18n, text } from '@/i18n';
import { listed } from '@/i18n/format';

export interface Rights {
  organisation: string;
  roles: string[];
  areas: string[];
}

export const PASSWORD_CHARS_MIN = 10;
const PASSWORD_CHARS_MADE = 16;
/** Without those that are taken for one another when read aloud or copied. */
const LETTERS = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';

/** Roles among the chosen that nobody may hold together with this one. */
export function barring(role: Role, chosen: readonly string[], roles: readonly Role[]): string[] {
  const bars = (one: Role | undefined, other: string): boolean =>
    one?.excludes?.includes(other) ?? false;
  return chosen
    .filter((id) => id !== role.id)
    .filter((id) => {
      const other = roles.find((one) => one.id === id);
      return bars(role, id) || bars(other, role.id);
    })
    .map((id) => text(roles.find((one) => one.id === id)?.title) || id);
}

/** Official codes have 12 digits; grids below a community append theirs. */
const AREA_CODE = /^[1-9]\d{11,23}$/;

/** Codes as they are typed or pasted, parted by spaces or commas, each once. */
export function readAreas(typed: string): string[] {
  return [...new Set(typed.split(/[\s,;，；、]+/).filter(Boolean))];
}

/** What is wrong with a choice of areas; empty where nothing is. */
export function areasError(areas: readonly string[]): string {
  const wrong = areas.filter((code) => !AREA_CODE.test(code));
  return wrong.length === 0 ? '' : i18n.global.t('users.badAreas', { codes: listed(wrong) });
}

/** A password nobody has to think of; each letter is equally likely. */
export function makePassword(): string {
  const fair = 256 - (256 % LETTERS.length);
  let made = '';
  while (made.length < PASSWORD_CHARS_MADE) {
    const [byte = 255] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < fair) made += LETTERS[byte % LETTERS.length] ?? '';
  }
  return made;
}

export const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((one) => b.includes(one));
