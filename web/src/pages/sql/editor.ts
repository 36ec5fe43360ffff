// The SQL editor: CodeMirror in a chunk of its own. It lives in a shadow root: there it adopts its
// style sheets instead of inserting <style> elements, which the content security policy refuses.
import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { PostgreSQL, sql } from '@codemirror/lang-sql';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap, setDiagnostics } from '@codemirror/lint';
import { Compartment, EditorState, Prec, type Extension } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
  placeholder,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { TableInfo } from './schema';

export interface EditorEvents {
  change: (text: string) => void;
  run: () => void;
}

export interface Editor {
  text: () => string;
  setText: (text: string) => void;
  insert: (text: string) => void;
  setTables: (tables: readonly TableInfo[]) => void;
  /** Marks a mistake; lines and columns from 1. */
  mark: (line: number, column: number, message: string) => void;
  clearMarks: () => void;
  goTo: (line: number, column: number) => void;
  focus: () => void;
  end: () => void;
}

const look = EditorView.theme({
  '&': {
    height: '100%',
    fontSize: '14px',
    color: 'var(--text)',
    backgroundColor: 'var(--surface)',
  },
  '.cm-scroller': { fontFamily: 'var(--font-code)', lineHeight: '1.6' },
  '.cm-content': { caretColor: 'var(--text)', padding: '8px 0' },
  '.cm-gutters': {
    backgroundColor: 'var(--sunken)',
    color: 'var(--text-soft)',
    border: 'none',
  },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--sunken)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground':
    { backgroundColor: 'var(--primary-soft)' },
  '&.cm-focused': { outline: '3px solid var(--focus)', outlineOffset: '-3px' },
  '.cm-tooltip': {
    border: '1px solid var(--line-strong)',
    backgroundColor: 'var(--surface)',
    color: 'var(--text)',
  },
  '.cm-tooltip-autocomplete ul li[aria-selected]': {
    backgroundColor: 'var(--primary)',
    color: 'var(--on-primary)',
  },
  '.cm-completionDetail': { color: 'inherit', fontStyle: 'normal', opacity: '1' },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--bad)' },
  '.cm-placeholder': { color: 'var(--text-soft)' },
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--primary)', fontWeight: '600' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--ok)' },
  { tag: tags.number, color: 'var(--warn)' },
  { tag: [tags.comment], color: 'var(--text-soft)', fontStyle: 'italic' },
  { tag: [tags.typeName, tags.bool, tags.null], color: 'var(--series-3)' },
]);

function language(tables: readonly TableInfo[]): Extension {
  const schema: Record<
    string,
    Record<string, { label: string; type: string; detail: string }[]>
  > = {};
  for (const table of tables) {
    const [name = '', ...rest] = table.id.split('.');
    const columns = table.columns.map((column) => ({
      label: column.name,
      type: 'property',
      detail: column.type,
    }));
    schema[name] = { ...schema[name], [rest.join('.')]: columns };
  }
  // Columns of the tables that a statement names are offered without their table before them.
  return sql({ dialect: PostgreSQL, schema, upperCaseKeywords: true });
}

export function createEditor(
  host: HTMLElement,
  text: string,
  words: { label: string; placeholder: string },
  events: EditorEvents,
): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  root.replaceChildren();
  const grammar = new Compartment();
  const run = {
    key: 'Mod-Enter',
    run: () => {
      events.run();
      return true;
    },
  };
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false }),
        syntaxHighlighting(colours),
        grammar.of(language([])),
        EditorView.lineWrapping,
        placeholder(words.placeholder),
        // Tab accepts a completion and is otherwise left to the browser: no trap for the keyboard.
        Prec.highest(keymap.of([run, { key: 'Tab', run: acceptCompletion }])),
        keymap.of([
          ...closeBracketsKeymap,
          ...completionKeymap,
          ...lintKeymap,
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        EditorView.contentAttributes.of({ 'aria-label': words.label }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) events.change(update.state.doc.toString());
        }),
        look,
      ],
    }),
  });

  function offset(line: number, column: number): number {
    const { doc } = view.state;
    const place = doc.line(Math.min(Math.max(line, 1), doc.lines));
    return Math.min(place.from + Math.max(column - 1, 0), place.to);
  }

  return {
    text: () => view.state.doc.toString(),
    setText: (next) => {
      if (next === view.state.doc.toString()) return;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
    },
    insert: (piece) => {
      view.dispatch(view.state.replaceSelection(piece));
      view.focus();
    },
    setTables: (tables) => view.dispatch({ effects: grammar.reconfigure(language(tables)) }),
    mark: (line, column, message) => {
      const from = offset(line, column);
      const word = view.state.wordAt(from);
      const to = word && word.to > from ? word.to : Math.min(from + 1, view.state.doc.length);
      view.dispatch(setDiagnostics(view.state, [{ from, to, severity: 'error', message }]));
    },
    clearMarks: () => view.dispatch(setDiagnostics(view.state, [])),
    goTo: (line, column) => {
      view.dispatch({ selection: { anchor: offset(line, column) }, scrollIntoView: true });
      view.focus();
    },
    focus: () => view.focus(),
    end: () => view.destroy(),
  };
}
