import { Command, InvalidArgumentError } from "commander";
import { withExamples, type Context } from "../command.ts";

export const simulatedPhases = ["new", "same", "changed"] as const;
export type SimulatedPhase = (typeof simulatedPhases)[number];

export interface SimulateOptions {
  readonly upstream: string;
  readonly enrollmentToken: string;
  readonly devices: number;
  readonly titles: number;
  readonly phases: readonly SimulatedPhase[];
  readonly concurrency: number;
  readonly batch: number;
  readonly seed: string;
  readonly ca?: string;
  readonly json?: true;
}

export function simulateCommand(context: Context): Command {
  return withExamples(new Command("simulate"), [
    [
      "daicho simulate --upstream http://127.0.0.1:7400 --enrollment-token dct1.… --devices 5000",
      "the three phases of a fleet's life",
    ],
    [
      "daicho simulate --upstream http://127.0.0.1:7400 --enrollment-token dct1.… --devices 100 --phases same,same --json",
      "heartbeats only, twice, of the devices of an earlier run with the same seed",
    ],
  ])
    .summary("Load a server with a made-up fleet, to size it")
    .description(
      "Load a server with a made-up fleet: real enrolment, real signed reports, deterministic by seed. " +
        "Reports that get no answer are kept and sent again until they are stored. Like a relay it sends several devices' reports in " +
        "one request (--batch) over kept connections (--concurrency); times are those of requests",
    )
    .requiredOption("--upstream <url>", "server or relay to load")
    .requiredOption(
      "--enrollment-token <token>",
      "enrolment token with a use for each device, or @FILE to read it from a file",
    )
    .requiredOption("--devices <n>", "how many devices", whole(1, 10_000_000))
    .option("--titles <n>", "titles per device", whole(1, 15_000), 700)
    .option(
      "--phases <list>",
      "what the fleet does, in order, repeats allowed. new: full reports; same: heartbeats; changed: five titles differ",
      phaseList,
      [...simulatedPhases],
    )
    .option("--concurrency <n>", "requests under way at once", whole(1, 1000), 8)
    .option("--batch <n>", "devices' reports in one request; 1 = each agent for itself", whole(1, 500), 32)
    .option("--seed <text>", "the same seed is the same fleet", "daicho")
    .option("--ca <file>", "certificate authority to trust for https (PEM)")
    .option("--json", "print the figures as JSON")
    .action(async (options: SimulateOptions) => {
      const { simulate } = await import("../simulate/simulate.ts");
      context.outcome = await simulate(options, context.io);
    });
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d{1,9}$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return value;
  };
}

function phaseList(text: string): readonly SimulatedPhase[] {
  return text.split(",").map((part) => {
    const phase = simulatedPhases.find((known) => known === part.trim());
    if (phase === undefined)
      throw new InvalidArgumentError(`Phases are ${simulatedPhases.join(", ")}, with commas between.`);
    return phase;
  });
}
