/** Purpose: `daicho server`. */
import { createLog } from "@daicho/kernel";
import { createServer, loadServerConfig } from "@daicho/server";
import type { Outcome } from "../command.ts";
import type { Io } from "../io.ts";
import { runNode } from "./run.ts";

export async function runServer(file: string, io: Io): Promise<Outcome> {
  const config = loadServerConfig({ file, env: io.env });
  const server = await createServer({ config, log: createLog({ name: config.name, role: config.role }) });
  const start = async (): Promise<string> => {
    const { url } = await server.start();
    return `daicho server ${config.name} (${config.role}) listens on ${url}`;
  };
  return runNode({ start, stop: () => server.stop() }, file, io);
}
