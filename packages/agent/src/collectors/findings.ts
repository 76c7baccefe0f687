/**
 * Purpose: where a collector puts what it found: titles and errors, both held to the bounds of protocol's Title and ScanError,
 * so that one absurd record can never make the whole inventory invalid.
 * Invariants: a value is taken over exactly as found or not at all (and then an error says so); it is never cut or cleaned.
 * Beyond `maxErrors` errors are counted and summarised in one last entry; beyond `maxTitles` titles likewise.
 */
import { maxTitles, type ScanError, type Title } from "@daicho/protocol";
import { maxErrors, type CollectResult } from "./collector.ts";

/**
 * unreadable: the system refused (permissions, I/O) · malformed: read, but not understood · too-large: beyond the bounds of the
 * reader · unsupported: understood to be a format that is not read · command-failed · failed: a defect of the collector itself.
 */
export type FaultCode = "unreadable" | "malformed" | "too-large" | "unsupported" | "command-failed" | "failed";

/** A fault of one place, thrown by readers and parsers inside `attempt`. */
export class Fault extends Error {
  readonly code: FaultCode;
  constructor(code: FaultCode, message: string) {
    super(message);
    this.name = "Fault";
    this.code = code;
  }
}

/** A Title whose optional fields may be `undefined` or empty, meaning: the source does not say. */
export type TitleFields = { [K in keyof Title]: Title[K] | undefined } & { name: string | undefined; source: string };

export interface Findings {
  /** Takes one title; `place` (and `where` inside it) name it in errors. False when the record had to be left out. */
  title(place: string, fields: TitleFields, where?: string): boolean;
  error(path: string, code: FaultCode, message: string): void;
  /** Runs a reader of `path`. A place that does not exist gives `undefined`; any other fault becomes an error and `undefined`. */
  attempt<T>(path: string, action: () => T): T | undefined;
  result(): CollectResult;
}

const textBounds = {
  version: 256,
  publisher: 512,
  arch: 64,
  identifier: 512,
  installedAt: 40,
  path: 4096,
  lastUsedAt: 40,
} as const;
type TextField = keyof typeof textBounds;
const textFields = Object.keys(textBounds) as TextField[];

export function createFindings(): Findings {
  const titles: Title[] = [];
  const errors: ScanError[] = [];
  let unlistedErrors = 0;
  let unlistedTitles = 0;

  const findings: Findings = {
    title(place, fields, where) {
      const at = where === undefined ? "" : `${where}: `;
      const { name, source } = fields;
      if (name === undefined || !isSound(name, 512) || name.length === 0) {
        findings.error(place, "malformed", `${at}the record has no usable name; it was left out`);
        return false;
      }
      if (titles.length >= maxTitles) {
        unlistedTitles++;
        return false;
      }
      const title: Title = { name, version: "", source };
      for (const field of textFields) {
        const value = fields[field];
        if (value === undefined || value === "") continue;
        if (isSound(value, textBounds[field])) title[field] = value;
        else findings.error(place, "malformed", `${at}the ${field} of ${quote(name)} is unusable; it was left out`);
      }
      const replaced = ["name", ...textFields].filter((field) => title[field as "name"]?.includes("\ufffd"));
      if (replaced.length > 0)
        findings.error(
          place,
          "malformed",
          `${at}the ${replaced.join(", ")} of ${quote(name)} has bytes that are no text`,
        );
      const { size } = fields;
      if (size !== undefined) {
        if (Number.isSafeInteger(size) && size >= 0) title.size = size;
        else findings.error(place, "malformed", `${at}the size of ${quote(name)} is unusable; it was left out`);
      }
      titles.push(title);
      return true;
    },

    error(path, code, message) {
      if (errors.length >= maxErrors - 2) unlistedErrors++;
      else errors.push(scanError(path, code, message));
    },

    attempt(path, action) {
      try {
        return action();
      } catch (error) {
        if (isAbsent(error)) {
          // What was listed a moment ago and is not there was listed by a name that is no text.
          if (path.includes("\ufffd")) findings.error(path, "unreadable", "its name is not UTF-8; it was not read");
          return undefined;
        }
        const { code, message } = describeFault(error);
        findings.error(path, code, message);
        return undefined;
      }
    },

    result() {
      const all = [...errors];
      if (unlistedErrors > 0)
        all.push(scanError("/", "too-large", `${unlistedErrors} more errors of this kind are not listed`));
      if (unlistedTitles > 0) {
        all.push(scanError("/", "too-large", `${unlistedTitles} titles beyond the first ${maxTitles} are not listed`));
      }
      return { titles, errors: all };
    },
  };
  return findings;
}

export function scanError(path: string, code: FaultCode, message: string): ScanError {
  return { path: clean(path).slice(0, 4096), code, message: clean(message).slice(0, 1024) };
}

/** The fault that an exception of a reader stands for. Node's own messages are not used: they name host paths. */
export function describeFault(error: unknown): { code: FaultCode; message: string } {
  if (error instanceof Fault) return { code: error.code, message: error.message };
  const errno = errnoOf(error);
  if (errno !== undefined) return { code: "unreadable", message: `cannot be read (${errno})` };
  return {
    code: "malformed",
    message: `cannot be understood (${error instanceof Error ? error.message : String(error)})`,
  };
}

export function isAbsent(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR";
}

/** RFC 3339 in UTC with whole seconds; `undefined` for what is no time (1970 itself is how images say "no date"). */
export function rfc3339(ms: number): string | undefined {
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  if (!(ms > 0 && year <= 9999)) return undefined;
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** The name part of `Name <mail>`, as found; all of it where there is no such part. */
export function nameOfMailbox(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const name = text.slice(0, text.indexOf("<") >>> 0).trim();
  return name === "" ? text.trim() : name;
}

function errnoOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}

/** Text that every store takes: bounded, without NUL (PostgreSQL refuses it) and without half characters. */
function isSound(text: string, bound: number): boolean {
  return text.length <= bound && !text.includes("\0") && !/\p{Cs}/u.test(text);
}

function clean(text: string): string {
  // Control characters of hostile paths stay out of logs and terminals.
  return text.replace(/\p{Cs}/gu, "\ufffd").replace(/[\u0000-\u001f\u007f]+/g, " ");
}

function quote(name: string): string {
  return JSON.stringify(name.slice(0, 80));
}
