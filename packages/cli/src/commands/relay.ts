import { Command } from "commander";
import { withExamples, type Context } from "../command.ts";

export function relayCommand(context: Context): Command {
  return withExamples(new Command("relay"), [
    ["daicho relay --config relay.yaml", "runs a relay with this configuration until SIGTERM"],
  ])
    .description("Run a relay: stores reports from below, passes them up, hands the dictionary down")
    .requiredOption("--config <file>", "configuration (YAML)")
    .action(async (options: { config: string }) => {
      const { runRelay } = await import("../nodes/relay.ts");
      context.outcome = await runRelay(options.config, context.io);
    });
}
