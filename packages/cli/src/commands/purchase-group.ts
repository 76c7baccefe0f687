import { Command, InvalidArgumentError } from "commander";
import { withClientOptions, withExamples, type ClientOptions, type Context } from "../command.ts";

export interface GroupPurchaseOptions extends ClientOptions {
  readonly period?: string;
  readonly license?: readonly string[];
  readonly json?: true;
  /** The supplier's number. */
  readonly order?: string;
}
export interface PriceOptions extends ClientOptions {
  readonly currency: string;
  readonly json?: true;
}
export interface Tier {
  readonly from: number;
  readonly unitPrice: number;
}

export function groupPurchaseCommand(context: Context): Command {
  return withExamples(new Command("group"), [
    ["daicho purchase group plan", "what the group would order now for its companies, and what that saves"],
    ["daicho purchase group run", "orders it, once for this month"],
  ])
    .description("At a group server: one order per licence for all companies that leave it to the group")
    .addCommand(ordering(context, "plan", "Print what would be ordered now; nothing is written"))
    .addCommand(ordering(context, "run", "Order it; a licence that was ordered this period answers with that order"))
    .addCommand(list(context))
    .addCommand(one(context, "show", "Print an order and each company's part"))
    .addCommand(
      one(context, "reverse", "Take an order back, as long as it is not placed; companies take back their parts"),
    )
    .addCommand(
      one(context, "place", "Say that an order went to the supplier").option(
        "--order <number>",
        "the supplier's order number",
      ),
    )
    .addCommand(price(context))
    .addCommand(prices(context));
}

const withJson = (command: Command): Command => command.option("--json", "print the server's answer as JSON");

function ordering(context: Context, name: "plan" | "run", says: string): Command {
  return withClientOptions(
    withJson(
      withExamples(new Command(name), [
        [`daicho purchase group ${name}`, "for this month, whatever is lacking"],
        [`daicho purchase group ${name} --period 2026-11 --license @LIBO`, "for a period named, this licence only"],
      ]),
    ),
  )
    .description(says)
    .option("--period <period>", "name of the period, such as 2026-11; absent = this month")
    .option("--license <code...>", "only these licences")
    .action(async (options: GroupPurchaseOptions) => {
      const { runGroupPurchase } = await import("../purchase/group.ts");
      context.outcome = await runGroupPurchase(name, options, context.io);
    });
}

function list(context: Context): Command {
  return withClientOptions(
    withJson(
      withExamples(new Command("list"), [["daicho purchase group list --period 2026-11", "the orders of a period"]]),
    ),
  )
    .description("Print the orders")
    .option("--period <period>", "only those of this period")
    .action(async (options: GroupPurchaseOptions) => {
      const { listGroupOrders } = await import("../purchase/group.ts");
      context.outcome = await listGroupOrders(options, context.io);
    });
}

function one(context: Context, name: "show" | "reverse" | "place", says: string): Command {
  return withClientOptions(
    withJson(
      withExamples(new Command(name), [
        [`daicho purchase group ${name} 2026-11/@LIBO`, "the order with this number, as `list` shows it"],
      ]),
    ),
  )
    .description(says)
    .argument("<order>", "order number, or id")
    .action(async (order: string, options: GroupPurchaseOptions) => {
      const { oneGroupOrder } = await import("../purchase/group.ts");
      context.outcome = await oneGroupOrder(name, order, options, context.io);
    });
}

function price(context: Context): Command {
  return withClientOptions(
    withJson(
      withExamples(new Command("price"), [
        [
          "daicho purchase group price @LIBO --currency JPY 1=1000 100=750",
          "1000 yen each; 750 each where 100 or more are ordered",
        ],
      ]),
    ),
  )
    .description("Say what a licence costs by quantity; the whole quantity has the price of the tier it reaches")
    .argument("<license>", "licence code")
    .argument("<tier...>", "FROM=PRICE: first quantity, and the price of each in minor units of the currency", tier)
    .requiredOption("--currency <code>", "ISO 4217, such as JPY")
    .action(async (license: string, tiers: readonly Tier[], options: PriceOptions) => {
      const { setGroupPrice } = await import("../purchase/group.ts");
      context.outcome = await setGroupPrice(license, tiers, options, context.io);
    });
}

function prices(context: Context): Command {
  return withClientOptions(
    withJson(withExamples(new Command("prices"), [["daicho purchase group prices", "every licence with its tiers"]])),
  )
    .description("Print what licences cost by quantity")
    .action(async (options: GroupPurchaseOptions) => {
      const { listGroupPrices } = await import("../purchase/group.ts");
      context.outcome = await listGroupPrices(options, context.io);
    });
}

function tier(text: string, before: readonly Tier[] | undefined): readonly Tier[] {
  const [, from, unitPrice] = /^([1-9]\d{0,8})=(\d{1,15})$/.exec(text) ?? [];
  if (from === undefined || unitPrice === undefined)
    throw new InvalidArgumentError("write QUANTITY=PRICE in whole minor units, such as 100=750.");
  return [...(before ?? []), { from: Number(from), unitPrice: Number(unitPrice) }];
}
