/**
 * Purpose: `daicho purchase group …`: a group's orders as tables - what is ordered at which price, each company's part and saving, what was not
 * ordered and why. The server does the work; nothing is counted here.
 */
import { createApiClient, type ApiClient } from "../client/client.ts";
import type { Outcome } from "../command.ts";
import type { GroupPurchaseOptions, PriceOptions, Tier } from "../commands/purchase-group.ts";
import { cliErrors } from "../errors.ts";
import { say, type Io } from "../io.ts";
import { moneyText } from "../output/money.ts";
import { tableLines, type Cell, type Column } from "../output/table.ts";

interface Order {
  readonly order?: string;
  readonly period: string;
  readonly license: string;
  readonly state: string;
  readonly quantity: number;
  readonly unitPrice: number;
  readonly amount: number;
  readonly saving: number;
  readonly currency: string;
  readonly supplierOrder?: string;
  readonly shares: readonly {
    readonly company: string;
    readonly quantity: number;
    readonly amount: number;
    readonly alone: number;
    readonly saving: number;
    readonly booked: boolean;
  }[];
}
interface Orders {
  readonly period: string;
  readonly dryRun: boolean;
  readonly orders: readonly Order[];
  readonly skipped: readonly { license: string; quantity: number; reason: string; company?: string }[];
}
interface Prices {
  readonly license: string;
  readonly currency: string;
  readonly tiers: readonly Tier[];
}

const path = "/api/v1/group-orders";
const text = (title: string): Column => ({ title });
const count = (title: string): Column => ({ title, align: "right" });

export async function runGroupPurchase(kind: "plan" | "run", options: GroupPurchaseOptions, io: Io): Promise<Outcome> {
  const client = await createApiClient(options);
  const { period, license: licenses } = options;
  const { body } = await post(client, path, {
    ...(kind === "plan" && { dryRun: true }),
    ...(period !== undefined && { period }),
    ...(licenses !== undefined && { licenses }),
  });
  const answer = body as Partial<Orders> | undefined;
  if (!Array.isArray(answer?.orders) || !Array.isArray(answer.skipped))
    throw cliErrors.make("answer-invalid", { server: client.server, reason: "no group orders" });
  const orders = answer as Orders;
  if (options.json === true) await say(io.out, JSON.stringify(orders, undefined, 2));
  else {
    await say(io.out, kind === "plan" ? `Plan for ${orders.period}; nothing was written.` : `Period ${orders.period}`);
    await printOrders("Ordered", orders.orders, io);
    await printShares(orders.orders, io);
    await part(
      "Lacking, but not ordered",
      [text("license"), text("company"), count("quantity"), text("reason")],
      orders.skipped.map(({ license, company, quantity, reason }) => [license, company, quantity, reason]),
      io,
    );
  }
  return 0;
}

export async function listGroupOrders(options: GroupPurchaseOptions, io: Io): Promise<Outcome> {
  const client = await createApiClient(options);
  const { period } = options;
  const items: Order[] = [];
  for await (const page of client.pages(path, { sort: "-order", limit: 1000, ...(period !== undefined && { period }) }))
    items.push(...(page.items as unknown as Order[]));
  if (options.json === true) await say(io.out, JSON.stringify({ items }, undefined, 2));
  else for (const line of orderLines(items)) await say(io.out, line);
  return 0;
}

export async function oneGroupOrder(
  kind: "show" | "reverse" | "place",
  name: string,
  options: GroupPurchaseOptions,
  io: Io,
): Promise<Outcome> {
  const client = await createApiClient(options);
  const at = `${path}/${encodeURIComponent(name)}`;
  const { order: supplier } = options;
  const { body } =
    kind === "show"
      ? await client.get(at)
      : await post(client, `${at}/${kind}`, kind === "place" && supplier !== undefined ? { order: supplier } : {});
  const order = body as Partial<Order> | undefined;
  if (!Array.isArray(order?.shares))
    throw cliErrors.make("answer-invalid", { server: client.server, reason: "no group order" });
  if (options.json === true) await say(io.out, JSON.stringify(order, undefined, 2));
  else {
    for (const line of orderLines([order as Order])) await say(io.out, line);
    await printShares([order as Order], io);
  }
  return 0;
}

export async function setGroupPrice(
  license: string,
  tiers: readonly Tier[],
  options: PriceOptions,
  io: Io,
): Promise<Outcome> {
  const client = await createApiClient(options);
  const bytes = JSON.stringify({ currency: options.currency, tiers });
  const to = `/api/v1/price-tiers/${encodeURIComponent(license)}`;
  const { body } = await client.send("PUT", to, { type: "application/json", bytes });
  await printPrices([body as Prices], options, io);
  return 0;
}

export async function listGroupPrices(options: GroupPurchaseOptions, io: Io): Promise<Outcome> {
  const client = await createApiClient(options);
  const items: Prices[] = [];
  for await (const page of client.pages("/api/v1/price-tiers", { sort: "license", limit: 1000 }))
    items.push(...(page.items as unknown as Prices[]));
  await printPrices(items, options, io);
  return 0;
}

function post(client: ApiClient, to: string, value: object): ReturnType<ApiClient["send"]> {
  return client.send("POST", to, { type: "application/json", bytes: JSON.stringify(value) });
}

function orderLines(orders: readonly Order[]): readonly string[] {
  return tableLines(
    [
      ...[text("order"), text("license"), text("state"), count("quantity"), count("unit price"), count("amount")],
      ...[count("saving"), text("supplier's order")],
    ],
    orders.map((o) => [
      ...[o.order, o.license, o.state, o.quantity, moneyText(o.unitPrice, o.currency), moneyText(o.amount, o.currency)],
      ...[moneyText(o.saving, o.currency), o.supplierOrder],
    ]),
  );
}

async function printOrders(title: string, orders: readonly Order[], io: Io): Promise<void> {
  await say(io.out, `\n${title}: ${orders.length === 0 ? "nothing" : orders.length}`);
  if (orders.length > 0) for (const line of orderLines(orders)) await say(io.out, line);
}

async function printShares(orders: readonly Order[], io: Io): Promise<void> {
  await part(
    "Each company's part",
    [
      ...[text("license"), text("company"), count("quantity"), count("amount"), count("alone"), count("saving")],
      text("booked"),
    ],
    orders.flatMap(({ license, currency, shares }) =>
      shares.map((s) => [
        ...[license, s.company, s.quantity],
        ...[s.amount, s.alone, s.saving].map((amount) => moneyText(amount, currency)),
        s.booked ? "yes" : "no",
      ]),
    ),
    io,
  );
}

async function printPrices(items: readonly Prices[], options: { readonly json?: true }, io: Io): Promise<void> {
  if (options.json === true) return say(io.out, JSON.stringify({ items }, undefined, 2));
  const lines = tableLines(
    [text("license"), count("from"), count("unit price")],
    items.flatMap(({ license, currency, tiers }) =>
      tiers.map(({ from, unitPrice }) => [license, from, moneyText(unitPrice, currency)]),
    ),
  );
  for (const line of lines) await say(io.out, line);
}

async function part(
  title: string,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  io: Io,
): Promise<void> {
  await say(io.out, `\n${title}: ${rows.length === 0 ? "nothing" : rows.length}`);
  if (rows.length > 0) for (const line of tableLines(columns, rows)) await say(io.out, line);
}
