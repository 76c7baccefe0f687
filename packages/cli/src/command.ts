/**
 * Purpose: how a command is declared: its options and examples here and in `commands/`, its work in a module that is loaded
 * only when it runs - `agent scan` must not pay for the server.
 */
import { Option, type Command } from "commander";
import type { Io } from "./io.ts";

/** Exit status of a command. */
export type Outcome = 0 | 1;

export interface Context {
  readonly io: Io;
  /** Where the exit status of the command that ran is left. */
  outcome: Outcome;
}

export interface Example {
  readonly line: string;
  readonly says: string;
}

const examplesOfCommand = new WeakMap<Command, readonly Example[]>();

/** The examples of a command, for its help and for docs/reference/cli.md. */
export function examplesOf(command: Command): readonly Example[] {
  return examplesOfCommand.get(command) ?? [];
}

export function withExamples(command: Command, examples: readonly (readonly [line: string, says: string])[]): Command {
  examplesOfCommand.set(
    command,
    examples.map(([line, says]) => ({ line, says })),
  );
  const text = examples.map(([line, says]) => `  ${line}\n      ${says}`).join("\n");
  return command.addHelpText("after", `\nExamples:\n${text}`);
}

/** `--server`, `--token` and `--ca`, the same for every command that talks to a server. */
export function withClientOptions(command: Command): Command {
  return command
    .addOption(new Option("--server <url>", "address of the server").env("DAICHO_SERVER"))
    .addOption(new Option("--token <token>", "API token; better given as DAICHO_TOKEN").env("DAICHO_TOKEN"))
    .addOption(new Option("--ca <file>", "certificate authority to trust for https (PEM)").env("DAICHO_CA"));
}

export interface ClientOptions {
  readonly server?: string;
  readonly token?: string;
  readonly ca?: string;
}

/** Wrong usage that only the command itself can notice; ends with status 2. */
export async function usage(command: string, what: string): Promise<never> {
  const { cliErrors } = await import("./errors.ts");
  throw cliErrors.make("usage", { command: `daicho ${command}`, what });
}
