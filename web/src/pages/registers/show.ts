// A register's values as people read them, and the columns of its table.
import type { Geometry, RegisterField } from '@/api/registers';
import type { Cell } from '@/api/types';
import type { TableColumn } from '@/components/table';
import { i18n, text } from '@/i18n';
import { date, dateTime, number, unit } from '@/i18n/format';
import { codeBehind, labelOf } from '@/i18n/label';
import './words';

const DIGITS_MAX = 6;
const DEGREES_DIGITS = 5;
const CENTS = 100;

/** What a value needs to be told: who knows names of organisations and of areas. */
export interface Names {
  organisation: (id: string) => string;
  district: (code: string) => string;
}

type Told = Pick<RegisterField, 'name' | 'type' | 'labels'>;

/** Years, codes and numbers of things are not grouped by thousands. */
const UNGROUPED = /(^|_)(year|code|id|no|seq|key|number)$/i;

function geometryText(of: Geometry): string {
  const { t } = i18n.global;
  if (of.type !== 'Point' || !Array.isArray(of.coordinates)) {
    return t('registers.shape', { type: of.type });
  }
  const [lon, lat] = of.coordinates as number[];
  const degrees = (value = 0): string => value.toFixed(DEGREES_DIGITS);
  return t('registers.point', { lon: degrees(lon), lat: degrees(lat) });
}

export function valueText(field: Told, value: Cell | undefined, names: Names): string {
  const { t } = i18n.global;
  if (value === null || value === undefined || value === '') return '—';
  if (typeof value === 'boolean') return value ? t('registers.yes') : t('registers.no');
  if (typeof value === 'number') {
    if (field.type === 'money') return number(value / CENTS);
    return UNGROUPED.test(field.name) ? String(value) : number(value, DIGITS_MAX);
  }
  if (typeof value === 'object') return geometryText(value as Geometry);
  if (field.type === 'organisation_id') return names.organisation(value);
  if (field.type === 'timestamp') return dateTime(value);
  if (field.type === 'date') return date(`${value}T12:00:00Z`);
  if (field.type === 'area_code') {
    const district = names.district(value);
    return district ? `${district} ${value}` : value;
  }
  return labelOf(field, value);
}

/** The unit of a field's values as shown: money is shown in yuan. */
export function unitOf(field: Pick<RegisterField, 'type' | 'unit'>): string {
  return field.type === 'money' ? i18n.global.t('row.yuan') : unit(field.unit);
}

const isNumeric = (field: RegisterField): boolean =>
  ['integer', 'number', 'money'].includes(field.type);

/** What people call a row by stands first: on a telephone it is all that is seen at once. A title
 * that is one of a few codes calls no row. */
export function nameFirst<F extends { name: string; codes?: string[] }>(fields: readonly F[]): F[] {
  const name = fields.find(({ name, codes }) => {
    return (name === 'name' || name === 'title') && !codes?.length;
  });
  return name ? [name, ...fields.filter((field) => field !== name)] : [...fields];
}

export function columnsOf(fields: readonly RegisterField[], names: Names): TableColumn[] {
  return nameFirst(fields.filter((field) => field.type !== 'geometry')).map((field) => ({
    key: field.name,
    title: text(field.title),
    unit: unitOf(field),
    sortable: true,
    format: (value) => valueText(field, value, names),
    ...(field.labels ? { code: (value: Cell) => codeBehind(field, value) } : {}),
    ...(isNumeric(field) ? { align: 'right' as const } : {}),
  }));
}
