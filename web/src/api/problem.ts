// What the server says when it does not do what was asked: `application/problem+json`.

export interface ProblemBody {
  code: string;
  status: number;
  title: string;
  hint?: string;
  line?: number;
  column?: number;
  correlation_id?: string;
}

/** A refusal or failure of one request, with what a person or a program can do about it. */
export class Problem extends Error {
  readonly code: string;
  readonly status: number;
  readonly hint: string | undefined;
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly correlation: string | undefined;
  /** Seconds to wait before trying again, where the server said so. */
  readonly retryAfter: number | undefined;

  constructor(body: ProblemBody, retryAfter?: number) {
    super(body.title);
    this.name = 'Problem';
    this.code = body.code;
    this.status = body.status;
    this.hint = body.hint;
    this.line = body.line;
    this.column = body.column;
    this.correlation = body.correlation_id;
    this.retryAfter = retryAfter;
  }
}

/** The network failed, or what came back was no answer of the city. */
export function unreachable(reason: string): Problem {
  return new Problem({ code: 'unreachable', status: 0, title: reason });
}

/** Whatever was thrown, as a problem. */
export function asProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  return unreachable(thrown instanceof Error ? thrown.message : String(thrown));
}

/** Whether a request ended because its page did not want it any more. */
export function isAborted(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === 'AbortError';
}
