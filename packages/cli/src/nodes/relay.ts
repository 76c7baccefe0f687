/** Purpose: `daicho relay`. */
import { createLog } from "@daicho/kernel";
import { createRelay, loadRelayConfig } from "@daicho/relay";
import type { Outcome } from "../command.ts";
import type { Io } from "../io.ts";
import { version } from "../version.ts";
import { runNode } from "./run.ts";

export async function runRelay(file: string, io: Io): Promise<Outcome> {
  const config = loadRelayConfig({ file, env: io.env });
  const relay = createRelay({ config, log: createLog({ name: config.name, role: "relay" }), program: version });
  const start = async (): Promise<string> => {
    const { url } = await relay.start();
    return `daicho relay ${config.name} listens on ${url}`;
  };
  return runNode({ start, stop: () => relay.stop() }, file, io);
}
