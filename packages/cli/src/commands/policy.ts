import { Command } from "commander";
import { usage, withExamples, type Context } from "../command.ts";

export function policyCommand(context: Context): Command {
  return withExamples(new Command("policy"), [
    ["daicho policy check group.policy.yaml", "names every fault with its place"],
  ])
    .description("Check, build and explain policies; needs no server")
    .addCommand(checkCommand(context))
    .addCommand(buildCommand(context))
    .addCommand(explainCommand(context))
    .addCommand(countCommand(context));
}

function checkCommand(context: Context): Command {
  return withExamples(new Command("check"), [
    ["daicho policy check group.policy.yaml", "prints `file:line:column: message [code]` for each fault"],
    [
      "daicho policy check group.policy.yaml local.policy.yaml",
      "checks a local edition against its enterprise edition",
    ],
  ])
    .description("Check policies; exit status 1 when there is any fault")
    .argument("<file...>", "policies, enterprise and local, checked together")
    .option("--json", "print { faults } as JSON")
    .action(async (files: readonly string[], options: { json?: true }) => {
      const { checkPolicyFiles } = await import("../policy/check.ts");
      context.outcome = await checkPolicyFiles(files, options, context.io);
    });
}

function buildCommand(context: Context): Command {
  return withExamples(new Command("build"), [
    ["daicho policy build group.policy.yaml --out dist", "writes dist/dictionary.json and dist/license-policy.json"],
  ])
    .description("Write the software dictionary and the licence policy; the same input gives the same bytes")
    .argument("<file...>", "policies, enterprise and local")
    .requiredOption("--out <dir>", "directory for dictionary.json and license-policy.json")
    .option("--company <name>", "company the dictionary is for", "local")
    .option("--json", "print what was written as JSON")
    .action(async (files: readonly string[], options: { out: string; company: string; json?: true }) => {
      const { buildPolicyFiles } = await import("../policy/build.ts");
      context.outcome = await buildPolicyFiles(files, options, context.io);
    });
}

function explainCommand(context: Context): Command {
  return withExamples(new Command("explain"), [
    [
      "daicho policy explain group.policy.yaml --inventory pc.json",
      "which rule gave which licence, and why not the others",
    ],
    ["daicho policy explain group.policy.yaml --inventory pc.json --json", "the same for a program"],
  ])
    .description("Show which rule yields which licence on an inventory, and why")
    .argument("<file...>", "policies, enterprise and local")
    .requiredOption(
      "--inventory <file>",
      "inventory as `agent scan` prints it; without `codes` it is recognised from its titles",
    )
    .option("--all", "also show the rules that failed for want of a code that is not there")
    .option("--json", "print the explanation as JSON")
    .action(async (files: readonly string[], options: { inventory: string; all?: true; json?: true }) => {
      const { explainInventory } = await import("../policy/explain.ts");
      context.outcome = await explainInventory(files, options, context.io);
    });
}

function countCommand(context: Context): Command {
  return withExamples(new Command("count"), [
    [
      "daicho policy count group.policy.yaml --metric windows-server-standard --hardware host.json",
      'how many units that machine needs, step by step; host.json: { "cpu": { "sockets": 2, "cores": 16 }, "virtualMachines": 6 }',
    ],
    [
      "daicho policy count group.policy.yaml --metric ibm-pvu --inventory server.json",
      "the same with a scanned machine",
    ],
  ])
    .description("Count the units a machine needs under a metric rule of the policies, and say why")
    .argument("<file...>", "policies, enterprise and local")
    .requiredOption("--metric <id>", "the metric rule")
    .option("--hardware <file>", "hardware as JSON: cpu or cpus, virtual, host, virtualMachines, virtualCores, users")
    .option("--inventory <file>", "inventory as `agent scan` prints it")
    .option("--at <date>", "with the rule of that day (2026-01-31 or a date and time); otherwise that of now")
    .option("--json", "print the count and its steps as JSON")
    .action(
      async (
        files: readonly string[],
        options: { metric: string; hardware?: string; inventory?: string; at?: string; json?: true },
      ) => {
        if ((options.hardware === undefined) === (options.inventory === undefined))
          await usage("policy count", "give either --hardware or --inventory");
        const { countByPolicy } = await import("../policy/count.ts");
        context.outcome = await countByPolicy(files, options, context.io);
      },
    );
}
