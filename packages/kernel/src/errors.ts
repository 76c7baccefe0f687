/**
 * Purpose: errors are a feature. One table per package declares every code it can answer with: HTTP status, message template,
 * whether trying again can help, and what the operator should do. Codes are protocol: callers match on `code`, never on text.
 * `docs/reference/errors.md` is made from these tables and checked both ways.
 */
export interface ErrorEntry {
  readonly status: number;
  /** `{name}` places are filled from the details given when the error is made. */
  readonly message: string;
  readonly retryable?: boolean;
  /** What the reader of the message should do. */
  readonly action: string;
}

export type ErrorTable = Readonly<Record<string, ErrorEntry>>;
export type Details = Readonly<Record<string, string | number | boolean | undefined>>;

export class DaichoError extends Error {
  readonly code: string;
  readonly status: number;
  readonly retryable: boolean;
  readonly action: string;
  readonly details: Details;
  /** Seconds after which trying again makes sense; becomes Retry-After. */
  readonly retryAfter?: number;

  constructor(code: string, entry: ErrorEntry, details: Details, options: { cause?: unknown; retryAfter?: number }) {
    super(fill(entry.message, details), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "DaichoError";
    this.code = code;
    this.status = entry.status;
    this.retryable = entry.retryable ?? false;
    this.action = fill(entry.action, details);
    this.details = details;
    if (options.retryAfter !== undefined) this.retryAfter = options.retryAfter;
  }
}

export interface ErrorMaker<T extends ErrorTable> {
  readonly table: T;
  /** Makes (does not throw) the error with this code. */
  make(code: keyof T & string, details?: Details, options?: { cause?: unknown; retryAfter?: number }): DaichoError;
}

export function defineErrors<const T extends ErrorTable>(table: T): ErrorMaker<T> {
  return {
    table,
    make(code, details = {}, options = {}) {
      const entry = table[code];
      if (entry === undefined) throw new TypeError(`error code ${code} is in no table`);
      return new DaichoError(code, entry, details, options);
    },
  };
}

export function isDaichoError(error: unknown, code?: string): error is DaichoError {
  return error instanceof DaichoError && (code === undefined || error.code === code);
}

/** What, where, what to do - as one line, for standard error. */
export function oneLine(error: unknown): string {
  if (error instanceof DaichoError)
    return `${error.message} [${error.code}] ${error.action}`.replace(/\s*\n\s*/g, " ").trim();
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s*\n\s*/g, " ").trim();
}

function fill(template: string, details: Details): string {
  return template.replace(/\{(\w+)\}/g, (whole, key: string) => {
    const value = details[key];
    return value === undefined ? whole : String(value).slice(0, 500);
  });
}
