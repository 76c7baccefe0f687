/**
 * Purpose: Vitest's global setup: before any worker starts it finds PostgreSQL (postgres.ts) and makes an empty, migrated database of either kind, which
 * suites copy (stores.ts). Workers find them in the environment. What it answers takes everything away again.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog, systemClock } from "@daicho/kernel";
import { openDatabase } from "../db/database.ts";
import { findPostgres } from "./postgres.ts";
import { execute } from "./stores.ts";

export async function setup(): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), "daicho-templates-"));
  const file = join(dir, "daicho.db");
  await migrate(`sqlite:${file}`);

  const postgres = await findPostgres();
  const template = `daicho_template_${process.pid}_${Date.now()}`;
  await execute(postgres.url, `create database ${template}`);
  const url = new URL(postgres.url);
  url.pathname = `/${template}`;
  await migrate(url.toString());

  process.env["DAICHO_TEST_SQLITE_TEMPLATE"] = file;
  process.env["DAICHO_TEST_POSTGRES"] = postgres.url;
  process.env["DAICHO_TEST_POSTGRES_TEMPLATE"] = template;
  return async () => {
    rmSync(dir, { recursive: true, force: true });
    await execute(postgres.url, `drop database if exists ${template} with (force)`);
    await postgres.stop();
  };
}

async function migrate(url: string): Promise<void> {
  await (await openDatabase({ url, clock: systemClock, log: silentLog })).close();
}
