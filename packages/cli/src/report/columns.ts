/** Purpose: what a report is: where its items come from, and how a line shows them. */
import type { Column } from "../output/table.ts";

export type Item = Readonly<Record<string, unknown>>;

export interface Report {
  readonly path: string;
  /** Items per page; absent where the API answers the whole at once, all of it true for the same moment. */
  readonly pageSize?: number;
  /** The API can be asked for a few fields only; a table shows no more than its columns. */
  readonly selectable?: true;
  readonly columns: readonly (Column & { readonly field: string; readonly money?: true })[];
  /** Lines of a table or a spreadsheet, where an item has several. */
  readonly lines?: (item: Item) => readonly Item[];
  /** What a table says before its rows, from the first page. */
  readonly head?: (page: Item) => readonly string[];
}

export const text = (field: string, title = field): Column & { field: string } => ({ field, title });
export const count = (field: string, title = field): Column & { field: string } => ({ field, title, align: "right" });
/** Minor units of the item's `currency`. */
export const money = (field: string): Column & { field: string; money: true } => ({ ...count(field), money: true });
