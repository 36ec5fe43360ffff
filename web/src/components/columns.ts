// Columns of an answer as a table shows them: titles in the reader's language, figures to the right,
// times in the city's zone, geometries by their kind.
import type { Cell, Column, Row } from '@/api/types';
import { text } from '@/i18n';
import { dateTime, number, unitOf } from '@/i18n/format';
import { codeBehind, labelOf } from '@/i18n/label';
import { isNumeric, isTime } from './chart/spec';
import type { TableColumn } from './table';

const DIGITS_MAX = 6;
/** Years, codes and numbers of things are not grouped by thousands. */
const UNGROUPED = /(^|_)(year|code|id|no|seq|key|number)$/i;

export const titleOf = (column: Column): string => text(column.title) || column.name;

/** A coded value by its name. */
export function labelled(column: Column, value: Cell | undefined): string {
  if (value == null) return '—';
  return labelOf(column, String(value));
}

export function tableColumns(columns: readonly Column[], rows: readonly Row[]): TableColumn[] {
  return columns.map((column) => {
    const base = {
      key: column.name,
      title: titleOf(column),
      unit: unitOf(column),
      sortable: true,
    };
    if (isNumeric(column, rows)) {
      const plain = UNGROUPED.test(column.name);
      const format = (value: unknown): string => {
        if (typeof value !== 'number') return value == null ? '—' : String(value);
        return plain ? String(value) : number(value, DIGITS_MAX);
      };
      return { ...base, align: 'right' as const, format };
    }
    if (isTime(column, rows)) {
      const whole = /^date/i.test(column.type ?? '');
      const format = (value: unknown): string =>
        typeof value === 'string' && !whole ? dateTime(value) : value == null ? '—' : String(value);
      return { ...base, format };
    }
    if (column.labels) {
      const format = (value: Cell): string => labelled(column, value);
      return { ...base, format, code: (value: Cell) => codeBehind(column, value) };
    }
    return base;
  });
}
