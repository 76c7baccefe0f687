/**
 * Purpose: the record format that dpkg (deb822: `Field: value`) and apk (`P:value`) share: lines of fields, records parted by blank
 * lines. One pass over the text, keeping only the wanted fields, because dpkg's file is megabytes of descriptions.
 * Invariants: a record is given even when lines inside it were not understood; the first such line is told with it. The first
 * value of a repeated field counts, as in dpkg.
 * On failure: never throws. Field names are compared ignoring case unless `exactCase`.
 */
export interface Stanza<F extends string> {
  /** Line of the file the record begins at, from 1. */
  readonly line: number;
  readonly fields: Partial<Record<F, string>>;
  /** Line that is neither a field nor a continuation, if any. */
  readonly badLine: number | undefined;
}

const newline = 10;
const space = 32;
const tab = 9;

export function* stanzas<F extends string>(
  text: string,
  wanted: readonly F[],
  exactCase = false,
): Generator<Stanza<F>> {
  const byName = new Map<string, F>();
  for (const field of wanted) byName.set(exactCase ? field : field.toLowerCase(), field).set(field, field);
  // Most lines are of no interest, and their first letter already says so.
  const wantedFirst = new Uint8Array(128);
  for (const name of byName.keys()) {
    wantedFirst[name.charCodeAt(0)] = 1;
    if (!exactCase) wantedFirst[name.toUpperCase().charCodeAt(0)] = 1;
  }
  let fields: Partial<Record<F, string>> = {};
  let start = 0; // 0: between records
  let badLine: number | undefined;
  let line = 0;

  for (let at = text.startsWith("\ufeff") ? 1 : 0; at < text.length;) {
    line++;
    const found = text.indexOf("\n", at);
    const end = found === -1 ? text.length : found;
    const first = text.charCodeAt(at);
    if (end === at || (end === at + 1 && first === 13)) {
      if (start > 0) yield { line: start, fields, badLine };
      fields = {};
      start = 0;
      badLine = undefined;
    } else {
      if (start === 0) start = line;
      if (first !== space && first !== tab && first !== newline) {
        const colon = text.indexOf(":", at);
        if (colon === -1 || colon >= end || colon === at || colon - at > 64) badLine ??= line;
        else if (wantedFirst[first] === 1) {
          const raw = text.slice(at, colon);
          const field = byName.get(raw) ?? (exactCase ? undefined : byName.get(raw.toLowerCase()));
          if (field !== undefined) fields[field] ??= text.slice(colon + 1, end).trim();
        }
      }
    }
    at = end + 1;
  }
  if (start > 0) yield { line: start, fields, badLine };
}
