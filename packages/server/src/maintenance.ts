/** Purpose: an API token without a running server (`daicho admin token`): the first way in. */
import type { Clock, Log } from "@daicho/kernel";
import type { ServerConfig } from "./config.ts";
import { openDatabase } from "./db/database.ts";
import { createAccessService, type AccessService } from "./modules/access/index.ts";

export interface OpenedAccess {
  readonly access: AccessService;
  close(): Promise<void>;
}

/** The server's tokens, without the server. @throws database-unusable, schema-newer */
export async function openAccess(options: {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<OpenedAccess> {
  const { config, clock, log } = options;
  const db = await openDatabase({ url: config.database, clock, log });
  try {
    return { access: await createAccessService({ db, clock, company: config.name }), close: () => db.close() };
  } catch (error) {
    await db.close();
    throw error;
  }
}
