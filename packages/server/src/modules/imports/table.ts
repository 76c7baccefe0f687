/**
 * Purpose: a CSV file as typed rows: header by the API's field names, cells by their columns' parsers, each row with its line.
 * Invariants: an unknown column is a fault that names the known ones; a cell that is empty clears its field (or leaves it, where there is no
 * "nothing"); a column that is not there leaves it; at most 100 faults are named, in the order of lines.
 */
import { rowFaults, type RowFaultCode } from "../../rows.ts";
import { eachPolitely } from "../../slices.ts";
import { parseCsv, type CsvRecord } from "./csv.ts";

export interface ImportFault {
  readonly line: number;
  readonly column?: string;
  readonly code: RowFaultCode;
  readonly message: string;
}

export type Cell = { readonly value: unknown } | { readonly reason: string };

export interface Column {
  readonly name: string;
  /** How an empty cell is meant: a fault, "nothing", or "leave it". */
  readonly empty: "fault" | "null" | "leave";
  parse(text: string): Cell;
}

export interface TableSpec {
  readonly columns: readonly Column[];
  /** Columns that must be there, given those that are. */
  required(present: ReadonlySet<string>): readonly string[];
  /** What two rows may not share; undefined = they may. */
  key(row: Readonly<Record<string, unknown>>): string | undefined;
  /** Names the column a duplicate is reported at. */
  readonly keyColumn: string;
}

export interface Table {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Line of each row. */
  readonly lines: readonly number[];
  readonly faults: readonly ImportFault[];
}

export const maxFaults = 100;
export const maxRows = 1_000_000;

export async function readTable(text: string, spec: TableSpec): Promise<Table> {
  const faults: ImportFault[] = [];
  const fault = (
    line: number,
    column: string | undefined,
    code: RowFaultCode,
    details: Record<string, string | number> = {},
  ) => {
    if (faults.length < maxFaults)
      faults.push({
        line,
        ...(column !== undefined && { column }),
        code,
        message: rowFaults.make(code, details).message,
      });
  };
  const records = parseCsv(text);
  const first = records.next();
  if (first.done === true) {
    fault(1, undefined, "file-empty");
    return { rows: [], lines: [], faults };
  }
  const columns = readHeader(first.value, spec, fault);
  if (faults.length > 0) return { rows: [], lines: [], faults };

  const rows: Record<string, unknown>[] = [];
  const lines: number[] = [];
  const seen = new Map<string, number>();
  await eachPolitely(
    untilFull(records, () => faults.length >= maxFaults),
    (record) => {
      if ("malformed" in record) return fault(record.line, undefined, "row-malformed", { reason: record.malformed });
      const { line, cells } = record;
      if (rows.length === maxRows) return fault(line, undefined, "row-limit", { limit: maxRows });
      if (cells.length < columns.length || cells.slice(columns.length).some((cell) => cell.trim() !== ""))
        return fault(line, undefined, "row-malformed", {
          reason: `the row has ${cells.length} cells, the header ${columns.length}`,
        });
      const row: Record<string, unknown> = {};
      let sound = true;
      columns.forEach((column, i) => {
        const cell = unguarded((cells[i] ?? "").trim());
        if (cell === "") {
          if (column.empty === "null") row[column.name] = null;
          if (column.empty !== "fault") return;
          sound = false;
          return fault(line, column.name, "value-required");
        }
        const read = column.parse(cell);
        if ("value" in read) row[column.name] = read.value;
        else {
          sound = false;
          fault(line, column.name, "value-invalid", { reason: read.reason });
        }
      });
      if (!sound) return;
      const key = spec.key(row);
      const before = key === undefined ? undefined : seen.get(key);
      if (before !== undefined) return fault(line, spec.keyColumn, "row-duplicate", { line: before });
      if (key !== undefined) seen.set(key, line);
      rows.push(row);
      lines.push(line);
    },
  );
  return { rows, lines, faults };
}

type Report = (
  line: number,
  column: string | undefined,
  code: RowFaultCode,
  details?: Record<string, string | number>,
) => void;

function readHeader(record: CsvRecord, spec: TableSpec, fault: Report): readonly Column[] {
  if ("malformed" in record) {
    fault(record.line, undefined, "row-malformed", { reason: record.malformed });
    return [];
  }
  const names = record.cells.map((cell) => cell.trim());
  // Spreadsheets leave empty columns at the end.
  while (names.length > 0 && names[names.length - 1] === "") names.pop();
  const known = spec.columns.map((column) => column.name).join(", ");
  const present = new Set<string>();
  const columns: Column[] = [];
  for (const name of names) {
    const column = spec.columns.find((c) => c.name === name);
    if (column === undefined) fault(record.line, shown(name), "column-unknown", { column: `"${shown(name)}"`, known });
    else if (present.has(name)) fault(record.line, name, "column-duplicate", { column: name });
    else columns.push(column);
    present.add(name);
  }
  for (const name of spec.required(present))
    if (!present.has(name)) fault(record.line, name, "column-missing", { column: name, known });
  return columns;
}

function* untilFull(records: Iterable<CsvRecord>, full: () => boolean): Generator<CsvRecord> {
  for (const record of records) {
    yield record;
    if (full()) return;
  }
}

// What http/list.ts puts before a cell that a spreadsheet would run as a formula, so that an exported file comes back as it was.
function unguarded(cell: string): string {
  return /^'[=+@-]/.test(cell) ? cell.slice(1) : cell;
}

function shown(name: string): string {
  return name.length > 40 ? `${name.slice(0, 40)}…` : name;
}
