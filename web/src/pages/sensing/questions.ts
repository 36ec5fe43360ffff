// The statements behind what these pages show, so that every figure can say where it comes from and
// be taken on in the SQL bench.
import { query } from '@/api/sql';
import type { DeviceFilter } from '@/api/sensing';
import { prefixOf } from '@/pages/map/counts';

const CODE = /^\d{2,20}$/;

/** A text in SQL. */
const quoted = (word: string): string => `'${word.replaceAll("'", "''")}'`;

function conditions({ area, department, kind, state, q }: DeviceFilter): string[] {
  return [
    area && CODE.test(area) ? `starts_with(area_code, '${prefixOf(area)}')` : '',
    department ? `owner = ${quoted(department)}` : '',
    kind ? `kind = ${quoted(kind)}` : '',
    state ? `state = ${quoted(state)}` : '',
    q ? `strpos(lower(name), lower(${quoted(q)})) > 0` : '',
  ].filter(Boolean);
}

const where = (parts: readonly string[]): string =>
  parts.length > 0 ? `\nWHERE ${parts.join('\n  AND ')}` : '';

export const statesSql = (filter: DeviceFilter): string =>
  `SELECT state, count(*) AS devices\nFROM sensing.device_state${where(conditions(filter))}\nGROUP BY state ORDER BY devices DESC`;

export const devicesSql = (filter: DeviceFilter): string =>
  `SELECT thing, name, kind, owner, state, since, newest_at, valid_share, maintenance_due\nFROM sensing.device_state${where(conditions(filter))}\nORDER BY name LIMIT 1000`;

export const deviceSql = (thing: string | number): string =>
  `SELECT *\nFROM sensing.device_state\nWHERE thing = ${Number(thing)}`;

export const readingsSql = (datastream: number, from: Date, to: Date): string =>
  [
    'SELECT phenomenon_time, result_number, flags',
    'FROM sensing.observation',
    `WHERE datastream = ${datastream}`,
    `  AND phenomenon_time >= timestamp '${from.toISOString()}'`,
    `  AND phenomenon_time < timestamp '${to.toISOString()}'`,
    'ORDER BY phenomenon_time DESC LIMIT 10000',
  ].join('\n');

export const producersSql = 'SELECT *\nFROM sensing.producer\nORDER BY rate_per_s DESC';

const SOON_DAYS = 30;
export const MAINTAINED_MAX = 6;

/** What has to be maintained within a month, or should have been. */
export const maintenanceSql = (area: string | null): string => {
  const due = `maintenance_due <= current_date() + INTERVAL '${SOON_DAYS} days'`;
  const all = [due, "state <> 'retired'", ...conditions({ area })];
  return `SELECT thing, name, owner, maintenance_due\nFROM sensing.device_state${where(all)}\nORDER BY maintenance_due LIMIT ${MAINTAINED_MAX}`;
};

export interface Due {
  thing: number;
  name: string;
  owner: string | null;
  maintenance_due: string;
}

export async function maintenance(area: string | null, signal: AbortSignal): Promise<Due[]> {
  const answer = await query({ sql: maintenanceSql(area) }, signal);
  return answer.rows as unknown as Due[];
}
