/**
 * Purpose: the one place where SQLite and PostgreSQL differ: column types, bulk statements, row locks.
 * Conventions on both: times are integers (milliseconds, UTC), booleans integers 0/1, JSON text, blobs bytes.
 */
import type BetterSqlite3 from "better-sqlite3";
import { sql, type ColumnDataType, type ColumnDefinitionBuilder, type RawBuilder, type Transaction } from "kysely";
import { eachPolitely } from "../slices.ts";

export type DialectName = "sqlite" | "postgres";

export interface ColumnTypes {
  readonly blob: ColumnDataType;
  readonly time: ColumnDataType;
  /** Primary key that counts up; never reused. */
  ordinal(column: ColumnDefinitionBuilder): ColumnDefinitionBuilder;
}

export function columnTypes(dialect: DialectName): ColumnTypes {
  return dialect === "sqlite"
    ? { blob: "blob", time: "integer", ordinal: (c) => c.primaryKey().autoIncrement() }
    : { blob: "bytea", time: "bigint", ordinal: (c) => c.primaryKey().generatedByDefaultAsIdentity() };
}

/** The column type of an ordinal primary key. */
export function ordinalType(dialect: DialectName): ColumnDataType {
  return dialect === "sqlite" ? "integer" : "bigint";
}

export type BulkValue = number | string | Buffer | null;

export interface BulkColumn {
  readonly name: string;
  readonly type: "integer" | "text" | "blob";
}

export const integer = (name: string): BulkColumn => ({ name, type: "integer" });
export const text = (name: string): BulkColumn => ({ name, type: "text" });
export const blob = (name: string): BulkColumn => ({ name, type: "blob" });

/**
 * One statement for many rows. `insert` columns are matched by position with each row; with `conflict` an existing row (by
 * those key columns) is changed as `update` says: `replace` sets the new value, `add` adds it.
 */
export interface BulkStatement {
  readonly table: string;
  readonly columns: readonly BulkColumn[];
  readonly conflict?: readonly string[];
  readonly update?: Readonly<Record<string, "replace" | "add">>;
}

export interface BulkUpdate {
  readonly table: string;
  /** Key columns first, then the columns to set. */
  readonly keys: readonly BulkColumn[];
  readonly set: readonly BulkColumn[];
  /** Only rows in which this column is null. */
  readonly whereNull?: string;
}

export interface Bulk<S> {
  /** Inserts (or upserts) all rows inside the transaction. */
  insert(trx: Transaction<S>, statement: BulkStatement, rows: readonly (readonly BulkValue[])[]): Promise<void>;
  /** Updates the rows named by the key columns; rows that are not there are left out. */
  update(trx: Transaction<S>, statement: BulkUpdate, rows: readonly (readonly BulkValue[])[]): Promise<void>;
}

/** SQLite: one prepared statement in a loop on the connection the transaction holds (there is only one): 2-4 µs a row, and a breath now and then. */
export function sqliteBulk<S>(database: BetterSqlite3.Database): Bulk<S> {
  const prepared = new Map<string, BetterSqlite3.Statement>();
  const run = (text: string, rows: readonly (readonly BulkValue[])[]): Promise<void> => {
    const statement = prepared.get(text) ?? database.prepare(text);
    prepared.set(text, statement);
    return eachPolitely(rows, (row) => void statement.run(...row));
  };
  return {
    insert(_trx, { table, columns, conflict, update }, rows) {
      const places = columns.map(() => "?").join(", ");
      return run(
        `insert into ${table} (${columns.map((c) => c.name).join(", ")}) values (${places})${onConflict(table, conflict, update)}`,
        rows,
      );
    },
    update(_trx, { table, keys, set, whereNull }, rows) {
      const text = `update ${table} set ${set.map((c) => `${c.name} = ?`).join(", ")} where ${keys.map((k) => `${k.name} = ?`).join(" and ")}${whereNull === undefined ? "" : ` and ${whereNull} is null`}`;
      return run(
        text,
        rows.map((row) => [...row.slice(keys.length), ...row.slice(0, keys.length)]),
      );
    },
  };
}

/**
 * PostgreSQL: one statement over unnested arrays. Blobs travel in one piece, as bytes, with where each begins and how long it is: in an array they
 * would be text of twice their size. `changed` hears how many rows of a table may have been written over.
 */
export function postgresBulk<S>(changed: (table: string, rows: number) => void): Bulk<S> {
  return {
    async insert(trx, { table, columns, conflict, update }, rows) {
      if (rows.length === 0) return;
      const names = columns.map((c) => c.name).join(", ");
      await sql`insert into ${sql.raw(table)} (${sql.raw(names)}) ${unnested(columns, rows)}${sql.raw(onConflict(table, conflict, update))}`.execute(
        trx,
      );
      if (update !== undefined) changed(table, rows.length);
    },
    async update(trx, { table, keys, set, whereNull }, rows) {
      if (rows.length === 0) return;
      const all = [...keys, ...set];
      const assign = set.map((c) => `${c.name} = v.${c.name}`).join(", ");
      const where = [
        ...keys.map((k) => `${table}.${k.name} = v.${k.name}`),
        ...(whereNull === undefined ? [] : [`${table}.${whereNull} is null`]),
        // A row that is as it should be is not written again.
        `row(${set.map((c) => `${table}.${c.name}`).join(", ")}) is distinct from row(${set.map((c) => `v.${c.name}`).join(", ")})`,
      ].join(" and ");
      const { numAffectedRows } =
        await sql`update ${sql.raw(table)} set ${sql.raw(assign)} from (${unnested(all, rows)}) as v where ${sql.raw(where)}`.execute(
          trx,
        );
      changed(table, Number(numAffectedRows ?? 0));
    },
  };
}

/** `select` of the rows, columns by their names. */
function unnested(columns: readonly BulkColumn[], rows: readonly (readonly BulkValue[])[]): RawBuilder<unknown> {
  const arrays: RawBuilder<unknown>[] = [];
  const names: string[] = [];
  const picked: RawBuilder<unknown>[] = [];
  for (const [i, { name, type }] of columns.entries()) {
    if (type !== "blob") {
      arrays.push(sql`${rows.map((row) => row[i] ?? null)}::${sql.raw(type === "text" ? "text[]" : "bigint[]")}`);
      names.push(name);
      picked.push(sql.raw(`u.${name}`));
      continue;
    }
    const bytes: Buffer[] = [];
    const starts: number[] = [];
    const lengths: (number | null)[] = [];
    let start = 1;
    for (const row of rows) {
      const value = (row[i] ?? null) as Buffer | null;
      starts.push(start);
      lengths.push(value?.length ?? null);
      if (value === null) continue;
      bytes.push(value);
      start += value.length;
    }
    arrays.push(sql`${starts}::int[]`, sql`${lengths}::int[]`);
    names.push(`${name}_from`, `${name}_for`);
    picked.push(
      sql`substring(${Buffer.concat(bytes)}::bytea from ${sql.raw(`u.${name}_from for u.${name}_for) as ${name}`)}`,
    );
  }
  return sql`select ${sql.join(picked)} from unnest(${sql.join(arrays)}) as u(${sql.raw(names.join(", "))})`;
}

function onConflict(
  table: string,
  conflict: readonly string[] | undefined,
  update: Readonly<Record<string, "replace" | "add">> | undefined,
): string {
  if (conflict === undefined) return "";
  const changes = Object.entries(update ?? {});
  if (changes.length === 0) return ` on conflict (${conflict.join(", ")}) do nothing`;
  const set = changes.map(([name, how]) =>
    how === "add" ? `${name} = ${table}.${name} + excluded.${name}` : `${name} = excluded.${name}`,
  );
  return ` on conflict (${conflict.join(", ")}) do update set ${set.join(", ")}`;
}
