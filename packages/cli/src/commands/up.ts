import { Command, InvalidArgumentError } from "commander";
import { withExamples, type Context } from "../command.ts";

export interface UpOptions {
  readonly data: string;
  readonly port: number;
  readonly once?: true;
  readonly json?: true;
}

export function upCommand(context: Context): Command {
  return withExamples(new Command("up"), [
    ["daicho up", "starts everything, scans this machine, prints its position, keeps running"],
    ["daicho up --once --port 0 --json", "one full round trip, the position as JSON, then the end"],
  ])
    .description(
      "All in one on this machine: group server, corporate server, relay and an agent that scans this very machine",
    )
    .option("--data <dir>", "where everything is kept; started again with the same directory it goes on", "./data")
    .option("--port <n>", "port of the corporate server; 0 takes any free one", portNumber, 7400)
    .option("--once", "end after the first full round trip")
    .option("--json", "print the position as JSON")
    .action(async (options: UpOptions) => {
      const { up } = await import("../up/up.ts");
      context.outcome = await up(options, context.io);
    });
}

function portNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError("It must be a port from 0 to 65535.");
  return Number(text);
}
