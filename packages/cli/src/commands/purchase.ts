import { Command } from "commander";
import { withClientOptions, withExamples, type ClientOptions, type Context } from "../command.ts";
import { groupPurchaseCommand } from "./purchase-group.ts";

export interface PurchaseOptions extends ClientOptions {
  readonly period?: string;
  readonly json?: true;
  /** The supplier's number. */
  readonly order?: string;
}

export function purchaseCommand(context: Context): Command {
  return withExamples(new Command("purchase"), [
    ["daicho purchase plan", "what a purchase run would buy now, who would pay, what idle rights save"],
    ["daicho purchase run", "does it, once for this month"],
  ])
    .description("Buy what is lacking, use up idle rights first, and charge the departments")
    .addCommand(planning(context, "plan", "Print what a purchase run would do now; nothing is written"))
    .addCommand(planning(context, "run", "Run it; a period that was run already answers with its run"))
    .addCommand(list(context))
    .addCommand(one(context, "show", "Print a run"))
    .addCommand(one(context, "reverse", "Take a run back, as long as its orders are not placed"))
    .addCommand(
      one(context, "place", "Say that a run's orders went to the supplier").option(
        "--order <number>",
        "the supplier's order number",
      ),
    )
    .addCommand(groupPurchaseCommand(context));
}

const withJson = (command: Command): Command => command.option("--json", "print the server's answer as JSON");

function planning(context: Context, name: "plan" | "run", says: string): Command {
  return withClientOptions(
    withJson(
      withExamples(new Command(name), [
        [`daicho purchase ${name}`, "for this month"],
        [`daicho purchase ${name} --period 2026-11 --json`, "for a period named, as JSON"],
      ]),
    ),
  )
    .description(says)
    .option("--period <period>", "name of the period, such as 2026-11; absent = this month")
    .action(async (options: PurchaseOptions) => {
      const { runPurchase } = await import("../purchase/purchase.ts");
      context.outcome = await runPurchase(name, options, context.io);
    });
}

function list(context: Context): Command {
  return withClientOptions(
    withJson(withExamples(new Command("list"), [["daicho purchase list", "every run, with what it bought"]])),
  )
    .description("Print the purchase runs")
    .action(async (options: PurchaseOptions) => {
      const { listPurchases } = await import("../purchase/purchase.ts");
      context.outcome = await listPurchases(options, context.io);
    });
}

function one(context: Context, name: "show" | "reverse" | "place", says: string): Command {
  return withClientOptions(
    withJson(
      withExamples(new Command(name), [
        [
          `daicho purchase ${name} 01m3x9q0aaaaaaaaaaaaaaaaaa`,
          "the run with this id, as `daicho purchase list` shows it",
        ],
      ]),
    ),
  )
    .description(says)
    .argument("<run>", "id of the run")
    .action(async (id: string, options: PurchaseOptions) => {
      const { onePurchase } = await import("../purchase/purchase.ts");
      context.outcome = await onePurchase(name, id, options, context.io);
    });
}
