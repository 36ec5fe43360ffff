// What coded values are called. Values go to the server and come from it as codes; who reads them
// reads their names. A value that has no name is told as it stands.
import type { Text } from '@/api/types';
import { text } from '.';
import { bracketed } from './format';

/** What may hold codes: a field of a contract, a column of an answer, a property of a map. */
export interface Coded {
  labels?: Record<string, Text>;
}

export function labelOf(of: Coded | null | undefined, value: string): string {
  return text(of?.labels?.[value]) || value;
}

/** The code that stands behind a name, as a title attribute; none where the code itself is told. */
export function codeBehind(of: Coded | null | undefined, value: unknown): string | undefined {
  return typeof value === 'string' && labelOf(of, value) !== value ? value : undefined;
}

/** The name with its code, for who has to write the code. */
export function labelAndCode(of: Coded | null | undefined, code: string): string {
  const label = labelOf(of, code);
  return label === code ? code : bracketed(label, code);
}
