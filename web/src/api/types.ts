// The shapes that several parts of the server's answers share.

/** Text for people, in both languages. */
export interface Text {
  zh: string;
  en: string;
}

export interface List<T> {
  items: T[];
  total?: number;
}

export type Cell = string | number | boolean | null | object;
export type Row = Record<string, Cell>;

export interface Column {
  name: string;
  title?: Text;
  unit?: string | null;
  unit_title?: Text | null;
  type?: string;
  /** What coded values are called. */
  labels?: Record<string, Text>;
}
