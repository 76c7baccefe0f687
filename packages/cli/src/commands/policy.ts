import { Command } from "commander";
import { withExamples, type Context } from "../command.ts";

export function policyCommand(context: Context): Command {
  return withExamples(new Command("policy"), [
    ["daicho policy check group.policy.yaml", "names every fault with its place"],
  ])
    .description("Check, build and explain policies; needs no server")
    .addCommand(checkCommand(context))
    .addCommand(buildCommand(context))
    .addCommand(explainCommand(context));
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
