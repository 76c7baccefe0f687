/**
 * Purpose: one page of a query, by the last item's sort key (contract.md: `?limit&cursor&sort`), so that a page costs the same wherever it
 * lies and no item is shown twice or skipped while others come and go.
 * Failure: an unknown sort field or a cursor of another list is refused, with the fields that can be sorted by.
 */
import { sql, type RawBuilder, type SelectQueryBuilder, type SqlBool } from "kysely";
import type { DialectName } from "./dialect.ts";
import { byBytes } from "./sets.ts";
import { decodeCursor, encodeCursor, type ListQuery } from "../http/list.ts";
import { cleanText } from "../http/text.ts";
import { inputInvalid } from "../http/problem.ts";
import { pagesOf } from "../slices.ts";

export interface SortColumn {
  /** `table.column`. */
  readonly column: string;
  /** A column of whole numbers that is never null; else it is text. */
  readonly number?: boolean;
  readonly nullable?: boolean;
}

export interface PageOptions {
  readonly dialect: DialectName;
  readonly query: ListQuery;
  /** Field name of the API → column; the first is the default and must be unique. */
  readonly fields: Readonly<Record<string, SortColumn>>;
}

export interface Page<O> {
  readonly rows: readonly O[];
  readonly nextCursor?: string;
}

type Value = string | number;
type Place = readonly [value: Value, key: Value];

/** Read in parts, so that 10,000 rows hold up nobody. @throws input-invalid */
export async function page<DB, TB extends keyof DB, O>(
  select: SelectQueryBuilder<DB, TB, O>,
  options: PageOptions,
): Promise<Page<O>> {
  const names = Object.keys(options.fields);
  const first = names[0] ?? "";
  const wanted = options.query.sort ?? first;
  const descending = wanted.startsWith("-");
  const name = descending ? wanted.slice(1) : wanted;
  const field = options.fields[name];
  if (field === undefined || !Object.hasOwn(options.fields, name))
    throw inputInvalid([{ path: "querystring/sort", message: `can be one of ${names.join(", ")}` }]);
  const valueOf = ({ column, nullable, number }: SortColumn): RawBuilder<Value> =>
    number === true ? sql<number>`${sql.ref(column)}` : byBytes(options.dialect, column, nullable);
  const key = valueOf(options.fields[first] as SortColumn);
  const value = name === first ? key : valueOf(field);
  const limit = options.query.limit ?? 100;
  const direction = descending ? "desc" : "asc";

  const than = sql.raw(descending ? "<" : ">");
  const after = (behind: Place): RawBuilder<SqlBool> =>
    value === key
      ? sql<SqlBool>`${key} ${than} ${behind[1]}`
      : sql<SqlBool>`(${value}, ${key}) ${than} (${behind[0]}, ${behind[1]})`;
  const read = async (
    behind: Place | undefined,
    most: number,
  ): Promise<(O & { page_value: Value; page_key: Value })[]> => {
    const found = await (behind === undefined ? select : select.where(after(behind)))
      .select([value.as("page_value"), key.as("page_key")])
      .$if(value !== key, (q) => q.orderBy(value, direction))
      .orderBy(key, direction)
      .limit(most)
      .execute();
    return found as (O & { page_value: Value; page_key: Value })[];
  };
  // One more than the page tells that more follow.
  const rows: Awaited<ReturnType<typeof read>> = [];
  const parts = pagesOf(
    cursorOf(options.query.cursor, wanted),
    (behind, most) => read(behind, Math.min(most, limit + 1 - rows.length)),
    (row): Place | undefined => [row.page_value, row.page_key],
  );
  for await (const part of parts) {
    for (const row of part) rows.push(row);
    if (rows.length > limit) break;
  }
  const shown = rows.slice(0, limit);
  const last = shown[shown.length - 1];
  return {
    rows: shown,
    ...(rows.length > limit &&
      last !== undefined && { nextCursor: encodeCursor([wanted, last.page_value, last.page_key]) }),
  };
}

function cursorOf(cursor: string | undefined, sort: string): Place | undefined {
  if (cursor === undefined) return undefined;
  const parts = decodeCursor(cursor);
  if (parts?.length === 3 && parts[0] === sort && parts.every((p) => typeof p === "number" || cleanText.test(p)))
    return [parts[1] as Value, parts[2] as Value];
  throw inputInvalid([{ path: "querystring/cursor", message: "is not a cursor of this list and this order" }]);
}
