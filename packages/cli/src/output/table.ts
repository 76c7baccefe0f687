/** Purpose: rows as an aligned table, numbers to the right, on any terminal and in any script. */
import { clip, displayWidth, harmless, padEnd, padStart } from "./width.ts";

export type Cell = string | number | null | undefined;

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** A name longer than this is cut: one title must not push the numbers of all others off the screen. */
const widest = 60;

/** The lines of a table: head first, no line ends. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly Cell[])[]): readonly string[] {
  const texts = rows.map((row) => columns.map((_, i) => clip(cellText(row[i]), widest)));
  const widths = columns.map(({ title }, i) =>
    Math.max(displayWidth(title), ...texts.map((row) => displayWidth(row[i] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((text, i) => (columns[i]?.align === "right" ? padStart : padEnd)(text, widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...texts.map(line)];
}

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return "";
  return typeof cell === "number" ? String(cell) : harmless(cell);
}
