/**
 * Purpose: the SQLite binding that fits the running Node. better-sqlite3 12 is the last that runs on Node 20, but from Node 24.19 on it ends the
 * process when a statement is collected while no JavaScript runs (its objects derive from node::ObjectWrap, whose destructor then finds no
 * environment). Version 13 has left ObjectWrap and brings its binaries along, but needs Node 22. Both have the same interface.
 */
import { createRequire } from "node:module";
import type BetterSqlite3 from "better-sqlite3";

const require = createRequire(import.meta.url);
const major = Number(process.versions.node.split(".")[0]);

export const Sqlite = require(major >= 22 ? "better-sqlite3-13" : "better-sqlite3") as typeof BetterSqlite3;
export type SqliteDatabase = BetterSqlite3.Database;

/**
 * The database as Kysely takes it, with the statements it has prepared kept: preparing costs more than running one. The texts of a store
 * are few (sets travel as one parameter, sets.ts); what is not asked for any more is forgotten.
 */
export function keepingStatements(database: SqliteDatabase, begin?: "begin immediate", most = 300) {
  const kept = new Map<string, BetterSqlite3.Statement>();
  return {
    close: () => void database.close(),
    prepare(text: string): BetterSqlite3.Statement {
      // Who begins by reading would be refused when it comes to write, if another process (`daicho admin token`) wrote in between; this waits for it.
      if (begin !== undefined && text === "begin") return this.prepare(begin);
      const known = kept.get(text);
      // One that is being iterated over cannot start again.
      if (known?.busy === true) return database.prepare(text);
      const statement = known ?? database.prepare(text);
      kept.delete(text);
      kept.set(text, statement);
      if (kept.size > most) kept.delete(kept.keys().next().value as string);
      return statement;
    },
  };
}

/** The file that a `sqlite:` URL names; `:memory:` is none. */
export const sqliteFile = (url: string): string => url.slice("sqlite:".length);
