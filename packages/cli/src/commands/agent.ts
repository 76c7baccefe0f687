import { Command } from "commander";
import { withExamples, type Context } from "../command.ts";

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function agentCommand(context: Context): Command {
  return withExamples(new Command("agent"), [
    ["daicho agent scan", "prints what is installed here as JSON"],
    ["daicho agent run --config agent.yaml", "runs the resident agent"],
  ])
    .description("Scan this machine, once or for good")
    .addCommand(scanCommand(context))
    .addCommand(enrollCommand(context))
    .addCommand(runCommand(context))
    .addCommand(statusCommand(context));
}

function scanCommand(context: Context): Command {
  return withExamples(new Command("scan"), [
    ["daicho agent scan --out this-machine.json", "one scan of this machine into a file"],
    ["daicho agent scan --root /mnt/disk", "scans a mounted disk, container or image as if it were /"],
    ["daicho agent scan --registry software.reg --registry user.reg", "reads registry exports of a Windows machine"],
    ["daicho agent scan --dictionary dist/dictionary.json", "also says which software codes are recognised"],
  ])
    .description("Scan once, with no server, and print the inventory as JSON")
    .option("--root <dir>", "scan this directory as if it were /")
    .option(
      "--registry <file>",
      "registry export (.reg, UTF-16LE or UTF-8) in place of the live registry; repeatable",
      collect,
      [],
    )
    .option("--dictionary <file>", "dictionary.json of `policy build`, or a signed dictionary of a server")
    .option("--out <file>", "write the inventory here instead of standard output")
    .option("--json", "print JSON (there is no other form)")
    .action(async (options: { root?: string; registry: readonly string[]; dictionary?: string; out?: string }) => {
      const { scanOnce } = await import("../agent/scan.ts");
      context.outcome = await scanOnce(options, context.io);
    });
}

function enrollCommand(context: Context): Command {
  return withExamples(new Command("enroll"), [
    [
      "daicho agent enroll --upstream https://relay-3f:7410 --token dct1.… --data /var/lib/daicho",
      "makes this machine known; `agent run` with the same data directory reports for it",
    ],
  ])
    .description("Enrol this machine with a relay or server")
    .requiredOption("--upstream <url>", "relay or server above")
    .requiredOption("--token <token>", "enrolment token, or @FILE to read it from a file")
    .requiredOption("--data <dir>", "where the agent keeps its identity")
    .option("--ca <file>", "certificate authority to trust for https (PEM)")
    .option("--json", "print the result as JSON")
    .action(async (options: { upstream: string; token: string; data: string; ca?: string; json?: true }) => {
      const { enrollAgent } = await import("../agent/enroll.ts");
      context.outcome = await enrollAgent(options, context.io);
    });
}

function runCommand(context: Context): Command {
  return withExamples(new Command("run"), [
    ["daicho agent run --config agent.yaml", "scans in its slot and reports until SIGTERM"],
  ])
    .description("Run the resident agent")
    .requiredOption("--config <file>", "configuration (YAML)")
    .action(async (options: { config: string }) => {
      const { runAgent } = await import("../nodes/agent.ts");
      context.outcome = await runAgent(options.config, context.io);
    });
}

function statusCommand(context: Context): Command {
  return withExamples(new Command("status"), [
    ["daicho agent status --data /var/lib/daicho", "what the agent of that directory does, running or not"],
  ])
    .description("Show what a resident agent is doing")
    .requiredOption("--data <dir>", "the agent's data directory")
    .option("--json", "print the status as JSON")
    .action(async (options: { data: string; json?: true }) => {
      const { showAgentStatus } = await import("../agent/status.ts");
      context.outcome = await showAgentStatus(options, context.io);
    });
}
