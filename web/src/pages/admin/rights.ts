// What a user is given: organisation, roles and areas, and what is wrong with a choice of them.
import type { Role } from '@/api/admin';
import { text } from '@/i18n';

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
