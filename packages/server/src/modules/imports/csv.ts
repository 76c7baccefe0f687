/**
 * Purpose: comma-separated values (RFC 4180) as records with the line each begins in. Semicolons and tabs are understood where the header uses them.
 * Invariants: a pull parser - it does nothing until the next record is asked for, so its reader can breathe; every record is bounded, whatever the
 * input; a record it cannot read is named and the next one is read, except after a quote that never closes.
 */

export type CsvRecord =
  { readonly line: number; readonly cells: readonly string[] } | { readonly line: number; readonly malformed: string };

const quote = 0x22;
const cr = 0x0d;
const lf = 0x0a;
export const maxCellLength = 32_768;
export const maxCells = 256;
/** Every quote inside counts twice. */
const maxQuoted = maxCellLength * 2;

export function* parseCsv(text: string, delimiter = delimiterOf(text)): Generator<CsvRecord> {
  const comma = delimiter.charCodeAt(0);
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const begins = line;
    const cells: string[] = [];
    let malformed: string | undefined;
    // One cell per round; `at` stands at its first character.
    for (;;) {
      let cell: string;
      if (text.charCodeAt(at) === quote) {
        const closed = closingQuote(text, at);
        if (typeof closed === "string")
          return yield {
            line: begins,
            malformed: `the quote opened in line ${line} is not closed ${closed}; nothing behind it was read`,
          };
        const inside = text.slice(at + 1, closed);
        for (let i = inside.indexOf("\n"); i !== -1; i = inside.indexOf("\n", i + 1)) line++;
        cell = inside.replaceAll('""', '"');
        at = closed + 1;
        const next = text.charCodeAt(at);
        if (at < text.length && next !== comma && next !== cr && next !== lf) {
          malformed ??= "something follows a closing quote";
          at = endOfLine(text, at);
        }
      } else {
        const start = at;
        const stop = start + maxCellLength;
        for (; at < text.length && at < stop; at++) {
          const c = text.charCodeAt(at);
          if (c === comma || c === lf || c === cr) break;
        }
        if (at === stop) {
          malformed ??= `a cell is longer than ${maxCellLength} characters`;
          at = endOfLine(text, at);
        }
        cell = malformed === undefined ? text.slice(start, at) : "";
      }
      if (cells.length < maxCells) cells.push(cell);
      else malformed ??= `a row has more than ${maxCells} cells`;
      if (at >= text.length || text.charCodeAt(at) !== comma) break;
      at++;
    }
    if (text.charCodeAt(at) === cr && text.charCodeAt(at + 1) === lf) at++;
    if (at < text.length) at++;
    line++;
    if (malformed !== undefined) yield { line: begins, malformed };
    else if (cells.length > 1 || cells[0]?.trim() !== "") yield { line: begins, cells };
  }
}

/** The delimiter of the header line: a comma, unless there is none but a semicolon or a tab. */
export function delimiterOf(text: string): string {
  const header = text.slice(0, Math.min(endOfLine(text, 0), maxCellLength));
  for (const delimiter of [",", ";", "\t"]) if (header.includes(delimiter)) return delimiter;
  return ",";
}

function endOfLine(text: string, at: number): number {
  const n = text.indexOf("\n", at);
  const end = n === -1 ? text.length : n;
  const r = text.slice(at, end).indexOf("\r");
  return r === -1 ? end : at + r;
}

/** Place of the quote that closes the cell opened at `open`; where there is none near enough, what comes first instead. */
function closingQuote(text: string, open: number): number | string {
  let at = text.indexOf('"', open + 1);
  for (; at !== -1 && at - open <= maxQuoted; at = text.indexOf('"', at + 2))
    if (text.charCodeAt(at + 1) !== quote) return at;
  return at === -1 ? "before the file ends" : `within ${maxQuoted} characters`;
}
