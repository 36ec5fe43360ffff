// How many things of a layer lie in an area, asked in SQL like every figure, so that it can show
// where it comes from.
import { dataset } from '@/api/catalogue';
import type { MapLayer } from '@/api/map';
import { asProblem, isAborted } from '@/api/problem';
import { query } from '@/api/sql';
import { tableName } from '@/pages/catalogue/show';

export interface Count {
  layer: MapLayer;
  /** Null where it cannot be told. */
  value: number | null;
  sql: string | null;
  /** It could not be told this time: the server was busy, or took too long. */
  failed?: boolean;
}

/** The layer is not the reader's to count. */
const CLOSED: readonly number[] = [403, 404];

const AREA_TYPE = 'area_code';
const DIGITS = 12;
const STEPS = [2, 4, 6, 9];

/** What the codes of all areas in an area begin with. Official codes are filled up with zeros. */
export function prefixOf(code: string): string {
  if (code.length !== DIGITS) return code;
  const end = STEPS.find((step) => /^0*$/.test(code.slice(step)));
  return code.slice(0, end ?? DIGITS);
}

/** The field that says in which area a row lies; found out once. */
const fields = new Map<string, Promise<string | null>>();

function areaField(id: string): Promise<string | null> {
  const known = fields.get(id);
  if (known) return known;
  const asked = dataset(id).then((page) => {
    const field = page.fields.find((one) => one.type === AREA_TYPE && one.seen.as === 'plain');
    return field?.name ?? null;
  });
  fields.set(id, asked);
  // A failure is asked again the next time.
  asked.catch(() => fields.delete(id));
  return asked;
}

export function countSql(id: string, field: string | null, code: string | null): string {
  const all = `SELECT count(*) AS things\nFROM ${tableName(id)}`;
  if (!code || !field) return all;
  return `${all}\nWHERE starts_with(${field}, '${prefixOf(code)}')`;
}

export async function countIn(
  layer: MapLayer,
  code: string | null,
  at: string | null,
  signal: AbortSignal,
): Promise<Count> {
  const none = { layer, value: null, sql: null };
  if (code && !/^\d+$/.test(code)) return none;
  try {
    const field = code ? await areaField(layer.dataset) : null;
    if (code && !field) return none;
    const sql = countSql(layer.dataset, field, code);
    const answer = await query({ sql, as_of: at }, signal);
    const value = answer.rows[0]?.things;
    return { layer, value: typeof value === 'number' ? value : null, sql };
  } catch (thrown) {
    if (isAborted(thrown)) throw thrown;
    const { status } = asProblem(thrown);
    if (status === 0) throw thrown;
    // Who may not count still sees what is on the map.
    return CLOSED.includes(status) ? none : { ...none, failed: true };
  }
}
