/** Purpose: `daicho agent enroll`: makes this machine known before, or without, a configured resident agent. */
import { hostname } from "node:os";
import { silentLog, systemClock } from "@daicho/kernel";
import { machineEvidence, scan } from "@daicho/agent";
import { enroll, openIdentity } from "@daicho/uplink";
import type { Outcome } from "../command.ts";
import { readText } from "../files/read.ts";
import { say, type Io } from "../io.ts";
import { secretOption } from "../files/secret.ts";

export async function enrollAgent(
  options: {
    readonly upstream: string;
    readonly token: string;
    readonly data: string;
    readonly ca?: string;
    readonly json?: true;
  },
  io: Io,
): Promise<Outcome> {
  const token = await secretOption(options.token);
  const identity = await openIdentity({ dir: options.data });
  if (identity.enrollment === undefined) {
    const { inventory } = await scan();
    const evidence = machineEvidence(inventory);
    await enroll({
      upstreams: [options.upstream],
      tls: options.ca === undefined ? undefined : { ca: await readText(options.ca) },
      clock: systemClock,
      log: silentLog,
      identity,
      kind: "agent",
      token,
      name: evidence.hostname ?? (hostname().slice(0, 255) || "unnamed"),
      evidence,
    });
  }
  const company = identity.enrollment?.root.company ?? "";
  if (options.json === true) await say(io.out, JSON.stringify({ device: identity.id, company, data: options.data }));
  else await say(io.out, `${identity.id} is enrolled with ${company}`);
  return 0;
}
