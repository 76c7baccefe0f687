import { Command } from "commander";
import { withExamples, type Context } from "../command.ts";

export function serverCommand(context: Context): Command {
  return withExamples(new Command("server"), [
    ["daicho server --config server.yaml", "runs a server with this configuration until SIGTERM"],
    ["DAICHO_LISTEN=0.0.0.0:7400 daicho server --config server.yaml", "every key can be set by the environment"],
  ])
    .description("Run a corporate or group server")
    .requiredOption("--config <file>", "configuration (YAML)")
    .action(async (options: { config: string }) => {
      const { runServer } = await import("../nodes/server.ts");
      context.outcome = await runServer(options.config, context.io);
    });
}
