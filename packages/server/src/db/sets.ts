/**
 * Purpose: "this column is one of these many values" as one parameter, so that a set may have any size on both stores (a list of
 * placeholders ends at 32,766 on SQLite and 65,535 on PostgreSQL).
 */
import { PostgresAdapter, sql, type RawBuilder, type SqlBool } from "kysely";
import type { DialectName } from "./dialect.ts";

/** For `where(inSet(dialect, "dev_devices.id", ids))`. The column's name comes from code, never from input. */
export function inSet(
  dialect: DialectName,
  column: string,
  values: readonly string[] | readonly number[],
): RawBuilder<SqlBool> {
  if (values.length === 0) return sql<SqlBool>`1 = 0`;
  const ref = sql.ref(column);
  if (dialect === "sqlite") return sql<SqlBool>`${ref} in (select value from json_each(${JSON.stringify(values)}))`;
  return sql<SqlBool>`${ref} = any(${values}::${sql.raw(typeof values[0] === "number" ? "bigint[]" : "text[]")})`;
}

/** The same where only the connection is at hand. */
export function among(
  db: { getExecutor(): { readonly adapter: object } },
  column: string,
  values: readonly string[] | readonly number[],
): RawBuilder<SqlBool> {
  return inSet(db.getExecutor().adapter instanceof PostgresAdapter ? "postgres" : "sqlite", column, values);
}

/** The same for columns of bytes. */
export function amongBytes(
  db: { getExecutor(): { readonly adapter: object } },
  column: string,
  values: readonly Buffer[],
): RawBuilder<SqlBool> {
  if (values.length === 0) return sql<SqlBool>`1 = 0`;
  if (db.getExecutor().adapter instanceof PostgresAdapter)
    return sql<SqlBool>`${sql.ref(column)} = any(${values}::bytea[])`;
  const hex = JSON.stringify(values.map((value) => value.toString("hex")));
  return sql<SqlBool>`${sql.ref(column)} in (select unhex(value) from json_each(${hex}))`;
}

/** Text in the order of its bytes, which is the same on both stores whatever PostgreSQL's locale; absent sorts as empty. */
export function byBytes(dialect: DialectName, column: string, nullable = false): RawBuilder<string> {
  const ref = nullable ? sql<string>`coalesce(${sql.ref(column)}, '')` : sql<string>`${sql.ref(column)}`;
  return dialect === "postgres" ? sql<string>`${ref} collate "C"` : ref;
}
