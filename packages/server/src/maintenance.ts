/** Purpose: an API token without a running server (`daicho admin token`): the first way in. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Clock, Log } from "@daicho/kernel";
import type { ServerConfig } from "./config.ts";
import { openDatabase } from "./db/database.ts";
import { sqliteFile } from "./db/sqlite.ts";
import { createAccessService, type AccessService } from "./modules/access/index.ts";

export interface OpenedAccess {
  readonly access: AccessService;
  /** The database file, where there was none before: a server that runs already has another one. */
  readonly made?: string;
  close(): Promise<void>;
}

/** The server's tokens, without the server. @throws database-unusable, schema-newer */
export async function openAccess(options: {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<OpenedAccess> {
  const { config, clock, log } = options;
  const file = config.database.startsWith("sqlite:") ? sqliteFile(config.database) : ":memory:";
  const made = file === ":memory:" || existsSync(file) ? undefined : resolve(file);
  const db = await openDatabase({ url: config.database, clock, log });
  try {
    const access = await createAccessService({ db, clock, company: config.name });
    return { access, ...(made !== undefined && { made }), close: () => db.close() };
  } catch (error) {
    await db.close();
    throw error;
  }
}
