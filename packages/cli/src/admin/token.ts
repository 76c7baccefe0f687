/** Purpose: `daicho admin token`: the first way in. Whoever can read the server's database may make a token. */
import { silentLog, systemClock } from "@daicho/kernel";
import { loadServerConfig, openAccess } from "@daicho/server";
import type { Outcome } from "../command.ts";
import { say, type Io } from "../io.ts";
import { expiryOf } from "./enrollment.ts";

export async function printAdminToken(
  options: {
    readonly config: string;
    readonly role: "admin" | "manager" | "auditor" | "provisioner";
    readonly name: string;
    readonly expires?: string;
    readonly json?: true;
  },
  io: Io,
): Promise<Outcome> {
  const expiresAt =
    options.expires === undefined ? undefined : Date.parse(await expiryOf(options.expires, "admin token"));
  const config = loadServerConfig({ file: options.config, env: io.env });
  const opened = await openAccess({ config, clock: systemClock, log: silentLog });
  try {
    const { name, role } = options;
    const made = await opened.access.createApiToken({ name, role, ...(expiresAt !== undefined && { expiresAt }) });
    await say(io.out, options.json === true ? JSON.stringify(made) : made.token);
    if (opened.made !== undefined)
      await say(
        io.err,
        `${opened.made} was not there and was made. A server that runs already has another database: then run this in its directory.`,
      );
  } finally {
    await opened.close();
  }
  return 0;
}
