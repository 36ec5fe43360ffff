// Why a value or a row was not taken, in the reader's words. The server says it in a fixed English
// form (`capacity: expected an integer, found `x``); what has no known form is shown as it is.
import { i18n, text } from '@/i18n';
import type { Text } from '@/api/types';
import { listed } from '@/i18n/format';
import { type Coded, labelAndCode } from '@/i18n/label';
import './words';

export interface Refusal {
  /** Fields that it is about; empty where it is about the row. */
  fields: string[];
  words: string;
}

/** Titles of a dataset's rules by id, and the words `field` and `rule` it may speak of. */
export interface Contract {
  fields: readonly string[];
  rules: ReadonlyMap<string, Text>;
  /** What codes of the fields are called. */
  coded?: ReadonlyMap<string, Coded>;
}

const RULE = /^breaks the rule ([\w.-]+)(?:: ([\s\S]+))?$/;
const EXPECTED = /^expected ([\s\S]+?)(?:, found ([\s\S]+))?$/;

const KINDS: [RegExp, string][] = [
  [/^an integer$/, 'integer'],
  [/^an amount of money/, 'money'],
  [/^a number$/, 'number'],
  [/^a date such/, 'date'],
  [/^a time such/, 'time'],
  [/^a boolean such/, 'boolean'],
  [/^a value$/, 'value'],
  [/^an area code/, 'area'],
  [/^a finite value/, 'finite'],
  [/^(text in the file|UTF-8)/, 'text'],
  [/^one of the mapping/, 'table'],
  [/^an identity number/, 'identity'],
];

/** Names stand before their codes: a file and a correction have the codes. */
function codesNamed(list: string, of: Coded | undefined): string {
  return of?.labels ? listed(list.split(', ').map((code) => labelAndCode(of, code))) : list;
}

function kindOf(expected: string, of: Coded | undefined): string {
  const { t } = i18n.global;
  const known = KINDS.find(([form]) => form.test(expected));
  if (known) return t(`refusal.kind.${known[1]}`);
  const list = /^one of ([\s\S]+)$/.exec(expected);
  if (list) return t('refusal.kind.list', { list: codesNamed(list[1] ?? '', of) });
  const cells = /^(\d+) cells$/.exec(expected);
  if (cells) return t('refusal.kind.cells', { count: cells[1] ?? '' });
  return expected;
}

function ruleWords(id: string, sql: string | undefined, rules: Contract['rules']): string {
  const { t, te } = i18n.global;
  if (te(`refusal.reason.${id}`)) return t(`refusal.reason.${id}`);
  const title = rules.get(id);
  if (title) return t('refusal.rule', { rule: text(title) });
  return t('refusal.ruleUnnamed', { sql: sql ?? id });
}

/** A message of the server, read; `of` is the field where the message does not name it itself. */
export function readRefusal(
  message: string,
  contract: Contract,
  of: string | null = null,
): Refusal {
  const { t } = i18n.global;
  const named = /^`?([A-Za-z_]\w*)`?:? ([\s\S]+)$/.exec(message);
  const field = contract.fields.find((name) => name === named?.[1]);
  const said = field ? (named?.[2] ?? message) : message;
  const fields = field ? [field] : [];
  const rule = RULE.exec(said);
  if (rule) {
    const [, id = '', sql] = rule;
    const about = contract.fields.filter((name) => sql && new RegExp(`\\b${name}\\b`).test(sql));
    return { fields: about, words: ruleWords(id, sql, contract.rules) };
  }
  const expected = EXPECTED.exec(said);
  if (!expected) return { fields, words: said };
  const [, what = '', found] = expected;
  const coded = contract.coded?.get(field ?? of ?? '');
  const values = {
    expected: kindOf(what, coded),
    found: (found ?? '').replace(/^`([\s\S]*)`$/, '$1'),
  };
  const bare = found === undefined || found === 'none' || values.found === '';
  return { fields, words: t(bare ? 'refusal.should' : 'refusal.shouldIs', values) };
}

/** What is wrong with a value as it was typed. */
export type Wrong =
  | 'missing'
  | 'badNumber'
  | 'badInteger'
  | 'badDate'
  | 'badTime'
  | 'badArea'
  | 'badCode'
  | 'badPoint'
  | 'badShape';

export function wrongWords(wrong: Wrong): string {
  return i18n.global.t(`refusal.${wrong}`);
}

/** A reason's code in words: one of the importer's, or a rule of the dataset. */
export function reasonWords(reason: string, rules: Contract['rules']): string {
  return ruleWords(reason, undefined, rules);
}
