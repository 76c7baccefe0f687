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
