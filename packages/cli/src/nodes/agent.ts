/** Purpose: `daicho agent run`. */
import { createLog, systemClock } from "@daicho/kernel";
import { createAgent, loadAgentConfig } from "@daicho/agent";
import type { Outcome } from "../command.ts";
import type { Io } from "../io.ts";
import { runNode } from "./run.ts";

export async function runAgent(file: string, io: Io): Promise<Outcome> {
  const config = loadAgentConfig({ file, env: io.env });
  const agent = createAgent({ config, clock: systemClock, log: createLog({ role: "agent" }) });
  const start = async (): Promise<string> => {
    await agent.start();
    return `daicho agent reports to ${config.upstream.join(", ")}`;
  };
  return runNode({ start, stop: () => agent.stop() }, file, io);
}
