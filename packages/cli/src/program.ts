/**
 * Purpose: the tree of commands, and what happens to whatever goes wrong in them: one line on standard error - what, where, what
 * to do - and the exit status.
 */
import { Command, CommanderError } from "commander";
import type { Context } from "./command.ts";
import { adminCommand } from "./commands/admin.ts";
import { agentCommand } from "./commands/agent.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { enrollmentCommand } from "./commands/enrollment.ts";
import { importCommand } from "./commands/import.ts";
import { orgCommand } from "./commands/org.ts";
import { policyCommand } from "./commands/policy.ts";
import { purchaseCommand } from "./commands/purchase.ts";
import { relayCommand } from "./commands/relay.ts";
import { reportCommand } from "./commands/report.ts";
import { serverCommand } from "./commands/server.ts";
import { simulateCommand } from "./commands/simulate.ts";
import { upCommand } from "./commands/up.ts";
import { say, type Io } from "./io.ts";
import { version } from "./version.ts";

/** In the order of the help. */
const commands = [
  upCommand,
  serverCommand,
  relayCommand,
  agentCommand,
  policyCommand,
  importCommand,
  reportCommand,
  orgCommand,
  purchaseCommand,
  enrollmentCommand,
  adminCommand,
  simulateCommand,
  doctorCommand,
];

export function buildProgram(context: Context): Command {
  const program = new Command("daicho")
    .description("Keeps a company's software licences true: what is installed where, what was bought, who may use it.")
    .version(version, "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false);
  for (const make of commands) program.addCommand(make(context));
  for (const command of everyCommand(program)) {
    command.exitOverride();
    command.helpCommand(false);
    command.configureOutput({
      writeOut: (text) => void context.io.out.write(text),
      writeErr: (text) => void context.io.err.write(text),
      outputError: (text, write) => write(oneUsageLine(text, command)),
    });
    if (command.commands.length === 0)
      command.allowExcessArguments(command.registeredArguments.at(-1)?.variadic === true);
  }
  return program;
}

export function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* everyCommand(child);
}

/** What the command line itself lacks; everything else is a failure of the work. */
const usageCodes = new Set(["usage", "server-not-named", "token-not-given"]);

/** Runs one command line; answers the exit status. Never throws. */
export async function run(args: readonly string[], io: Io): Promise<0 | 1 | 2> {
  const context: Context = { io, outcome: 0 };
  try {
    await buildProgram(context).parseAsync([...args], { from: "user" });
    return context.outcome;
  } catch (error) {
    if (error instanceof CommanderError) return isHelp(error) ? 0 : 2;
    const { isDaichoError, oneLine } = await import("@daicho/kernel");
    const { tellingPath } = await import("./errors.ts");
    await say(io.err, `daicho: ${oneLine(tellingPath(error))}`);
    return isDaichoError(error) && usageCodes.has(error.code) ? 2 : 1;
  }
}

/** A group named without one of its commands shows its help and is wrong usage all the same. */
function isHelp(error: CommanderError): boolean {
  return error.code === "commander.helpDisplayed" || error.code === "commander.version";
}

function oneUsageLine(text: string, command: Command): string {
  const what = text
    .replace(/^error: /, "")
    .replace(/\s*\n\s*/g, " ")
    .trim();
  return `daicho: ${what} [usage] \`${fullName(command)} --help\` shows what it takes.\n`;
}

export function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}
