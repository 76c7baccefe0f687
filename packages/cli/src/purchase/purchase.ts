/**
 * Purpose: `daicho purchase …`: a purchase run as tables - what is bought, who pays, what idle rights saved, what could not be bought. The server
 * does the work; nothing is counted here.
 */
import { createApiClient, type ApiClient } from "../client/client.ts";
import type { Outcome } from "../command.ts";
import type { PurchaseOptions } from "../commands/purchase.ts";
import { cliErrors } from "../errors.ts";
import { say, type Io } from "../io.ts";
import { moneyText } from "../output/money.ts";
import { tableLines, type Cell, type Column } from "../output/table.ts";

interface Money {
  readonly amount: number;
  readonly currency: string;
}
interface Run {
  readonly id: string;
  readonly period: string;
  readonly state: string;
  readonly dryRun: boolean;
  readonly orders: readonly (Money & { order?: string; license: string; quantity: number; unitPrice: number })[];
  readonly chargebacks: readonly (Money & {
    department: string;
    costCentre?: string;
    license: string;
    quantity: number;
  })[];
  readonly rights: readonly object[];
  readonly savedByIdle: readonly { license: string; quantity: number }[];
  readonly skipped: readonly { license: string; quantity: number; reason: string }[];
}
interface Listed {
  readonly id: string;
  readonly period: string;
  readonly state: string;
  readonly at: string;
  readonly orderCount: number;
  readonly amounts: readonly Money[];
}

const path = "/api/v1/purchase-runs";
const text = (title: string): Column => ({ title });
const count = (title: string): Column => ({ title, align: "right" });

export async function runPurchase(kind: "plan" | "run", options: PurchaseOptions, io: Io): Promise<Outcome> {
  const client = await createApiClient(options);
  const { period } = options;
  const request = { ...(kind === "plan" && { dryRun: true }), ...(period !== undefined && { period }) };
  const { status, body } = await post(client, path, request);
  const run = runOf(client, body);
  if (kind === "run" && status === 200) await say(io.err, `${run.period} was run already; this is its run`);
  await print(run, options, io);
  return 0;
}

export async function onePurchase(
  kind: "show" | "reverse" | "place",
  id: string,
  options: PurchaseOptions,
  io: Io,
): Promise<Outcome> {
  const client = await createApiClient(options);
  const at = `${path}/${encodeURIComponent(id)}`;
  const { order } = options;
  const { body } =
    kind === "show"
      ? await client.get(at)
      : await post(client, `${at}/${kind}`, kind === "place" && order !== undefined ? { order } : undefined);
  await print(runOf(client, body), options, io);
  return 0;
}

export async function listPurchases(options: PurchaseOptions, io: Io): Promise<Outcome> {
  const client = await createApiClient(options);
  const items: Listed[] = [];
  for await (const page of client.pages(path, { sort: "-id", limit: 1000 }))
    items.push(...(page.items as unknown as Listed[]));
  if (options.json === true) await say(io.out, JSON.stringify({ items }, undefined, 2));
  else
    await table(
      io,
      [text("run"), text("period"), text("state"), text("at"), count("orders"), text("amount")],
      items.map((run) => [run.id, run.period, run.state, run.at, run.orderCount, sums(run.amounts)]),
    );
  return 0;
}

function post(client: ApiClient, to: string, value: object | undefined): ReturnType<ApiClient["send"]> {
  return client.send("POST", to, { type: "application/json", bytes: JSON.stringify(value ?? {}) });
}

function runOf(client: ApiClient, body: unknown): Run {
  const run = body as Partial<Run> | undefined;
  if (!Array.isArray(run?.orders) || !Array.isArray(run.chargebacks))
    throw cliErrors.make("answer-invalid", { server: client.server, reason: "no purchase run" });
  return run as Run;
}

async function print(run: Run, options: PurchaseOptions, io: Io): Promise<void> {
  if (options.json === true) return say(io.out, JSON.stringify(run, undefined, 2));
  await say(
    io.out,
    run.dryRun ? `Plan for ${run.period}; nothing was written.` : `Run ${run.id}, ${run.period}: ${run.state}`,
  );
  const parts: readonly (readonly [title: string, columns: readonly Column[], rows: readonly (readonly Cell[])[]])[] = [
    [
      "Bought",
      [text("order"), text("license"), count("quantity"), count("unit price"), count("amount")],
      run.orders.map((o) => [
        ...[o.order, o.license, o.quantity, moneyText(o.unitPrice, o.currency), moneyText(o.amount, o.currency)],
      ]),
    ],
    [
      "Charged",
      [text("license"), text("department"), text("cost centre"), count("rights"), count("amount")],
      run.chargebacks.map((c) => [
        ...[c.license, c.department, c.costCentre, c.quantity, moneyText(c.amount, c.currency)],
      ]),
    ],
    [
      "Saved by idle rights",
      [text("license"), count("quantity")],
      run.savedByIdle.map(({ license, quantity }) => [license, quantity]),
    ],
    [
      "Lacking, but not bought",
      [text("license"), count("quantity"), text("reason")],
      run.skipped.map(({ license, quantity, reason }) => [license, quantity, reason]),
    ],
  ];
  for (const [title, columns, rows] of parts) {
    await say(io.out, `\n${title}: ${rows.length === 0 ? "nothing" : rows.length}`);
    if (rows.length > 0) await table(io, columns, rows);
  }
  await say(
    io.out,
    `\nRights ${run.dryRun ? "would change" : "changed"} in ${run.rights.length} places; in total ${total(run)}`,
  );
}

function total(run: Run): string {
  const amounts = new Map<string, number>();
  for (const { amount, currency } of run.orders) amounts.set(currency, (amounts.get(currency) ?? 0) + amount);
  return amounts.size === 0 ? "nothing to pay" : sums([...amounts].map(([currency, amount]) => ({ currency, amount })));
}

function sums(amounts: readonly Money[]): string {
  return amounts.map(({ amount, currency }) => moneyText(amount, currency)).join(" + ");
}

async function table(io: Io, columns: readonly Column[], rows: readonly (readonly Cell[])[]): Promise<void> {
  for (const line of tableLines(columns, rows)) await say(io.out, line);
}
