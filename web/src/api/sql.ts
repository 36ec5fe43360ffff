// Questions in SQL, where their answers come from, and saved queries.
import { get, part, post, put, remove, send } from './client';
import { Problem, type ProblemBody } from './problem';
import type { Column, List, Row } from './types';

export interface Answer {
  columns: Column[];
  rows: Row[];
  row_count: number;
  /** There is more: the rest was not taken. */
  cut?: boolean;
}

/** More than this of an answer a browser does not take; CSV brings all of it. */
const ANSWER_CHARS_MAX = 24 * 1024 * 1024;

export interface Question {
  sql: string;
  as_of?: string | null;
  scenario?: string | null;
}

async function textUpTo(response: Response, charsMax: number): Promise<[string, boolean]> {
  const reader = response.body?.getReader();
  if (!reader) return [await response.text(), false];
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return [text + decoder.decode(), false];
    text += decoder.decode(value, { stream: true });
    if (text.length > charsMax) {
      await reader.cancel();
      return [text, true];
    }
  }
}

/** What of an answer came before it was cut: up to the last whole row. */
export function closeCut(text: string): Answer {
  const ROWS_TRIED = 8;
  let end = text.length;
  for (let tried = 0; tried < ROWS_TRIED; tried++) {
    end = text.lastIndexOf('},{', end - 1);
    if (end < 0) break;
    try {
      const answer = JSON.parse(`${text.slice(0, end + 1)}],"row_count":0}`) as Answer;
      return { ...answer, row_count: answer.rows.length, cut: true };
    } catch {
      // The mark stood inside a value; the one before it will do.
    }
  }
  throw new Problem({ code: 'too_large', status: 413, title: 'one row is too large to be shown' });
}

/** Runs a statement. An answer that broke off after its first rows is thrown like any other. */
export async function query(
  question: Question,
  signal?: AbortSignal,
  charsMax: number = ANSWER_CHARS_MAX,
): Promise<Answer> {
  const response = await send('POST', '/api/sql', { body: question, signal });
  const [text, cut] = await textUpTo(response, charsMax);
  if (cut) return closeCut(text);
  const answer = JSON.parse(text) as Answer & { error?: ProblemBody };
  if (answer.error) throw new Problem(answer.error);
  return answer;
}

/** The same answer as a CSV file. */
export async function queryCsv(question: Question, signal?: AbortSignal): Promise<Blob> {
  const options = { body: question, accept: 'text/csv', signal };
  return (await send('POST', '/api/sql', options)).blob();
}

interface Transformation {
  type: string;
  subtype?: string;
}

interface InputField {
  name: string;
  field: string;
  transformations?: Transformation[];
}

interface OpenLineage {
  inputs: { name: string; facets?: { schema?: { fields: { name: string }[] } } }[];
  outputs: {
    name: string;
    facets: {
      schema?: { fields: { name: string }[] };
      columnLineage?: {
        dataset?: InputField[];
        fields: Record<string, { inputFields: InputField[] }>;
      };
    };
  }[];
}

export interface LineageSource {
  dataset: string;
  field: string;
  how: string;
}

/** Where an answer's columns come from, and what else decided about its rows. */
export interface Lineage {
  datasets: { id: string; fields: string[] }[];
  columns: { name: string; from: LineageSource[] }[];
  deciding: LineageSource[];
}

function source(input: InputField): LineageSource {
  const step = input.transformations?.[0];
  const how = (step?.subtype ?? step?.type ?? '').toLowerCase();
  return { dataset: input.name, field: input.field, how };
}

export async function lineage(question: Question, signal?: AbortSignal): Promise<Lineage> {
  const event = await post<OpenLineage>('/api/lineage', question, { signal });
  const output = event.outputs[0];
  const facet = output?.facets.columnLineage;
  const names = output?.facets.schema?.fields.map((field) => field.name) ?? [];
  return {
    datasets: event.inputs.map((input) => ({
      id: input.name,
      fields: input.facets?.schema?.fields.map((field) => field.name) ?? [],
    })),
    columns: names.map((name) => ({
      name,
      from: facet?.fields[name]?.inputFields.map(source) ?? [],
    })),
    deciding: facet?.dataset?.map(source) ?? [],
  };
}

export type Shared = 'private' | 'organisation' | 'everyone';

export interface SavedQuery {
  id: string;
  title: string;
  sql: string;
  chart?: unknown;
  shared: Shared;
  user?: string;
  owner?: string;
  organisation?: string;
  mine?: boolean;
}

export interface NewQuery {
  title: string;
  sql: string;
  chart?: unknown;
  shared: Shared;
}

export const savedQueries = (signal?: AbortSignal): Promise<List<SavedQuery>> =>
  get('/api/queries', { signal });
export const saveQuery = (fresh: NewQuery): Promise<SavedQuery> => post('/api/queries', fresh);
export const changeQuery = (id: string, fresh: NewQuery): Promise<SavedQuery> =>
  put(`/api/queries/${part(id)}`, fresh);
export const deleteQuery = (id: string): Promise<void> => remove(`/api/queries/${part(id)}`);
