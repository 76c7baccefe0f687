/** Purpose: rows as CSV (RFC 4180) that a spreadsheet opens without running anything. */

/** Nested fields become `outer.inner`, lists are joined by `|`; the columns are those of all rows, in order of first sight; `usual` where there is no row. */
export function csvLines(items: readonly object[], usual: readonly string[] = []): readonly string[] {
  const rows = items.map((item) => flatten(item));
  const columns = rows.length === 0 ? usual : [...new Set(rows.flatMap((row) => [...row.keys()]))];
  const line = (cells: readonly string[]): string => cells.map(quote).join(",");
  return [line(columns), ...rows.map((row) => line(columns.map((column) => guard(row.get(column) ?? ""))))];
}

function flatten(value: object, prefix = "", out = new Map<string, string>()): Map<string, string> {
  for (const [key, item] of Object.entries(value) as [string, unknown][]) {
    const name = prefix + key;
    if (item === null || item === undefined) out.set(name, "");
    else if (Array.isArray(item))
      out.set(name, item.map((one) => (typeof one === "object" ? JSON.stringify(one) : String(one))).join("|"));
    else if (typeof item === "object") flatten(item, `${name}.`, out);
    else out.set(name, String(item));
  }
  return out;
}

// A cell that a spreadsheet would run as a formula is shown as text instead. A number below zero is none, and a bare code (`@LIBO7`)
// calls nothing and has to come through unchanged: it is what other files are joined by.
function guard(cell: string): string {
  return /^[=+@\t\r-]/.test(cell) && !/^-[\d.]+$|^@[\p{L}\p{N}._-]+$/u.test(cell) ? `'${cell}` : cell;
}

function quote(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
