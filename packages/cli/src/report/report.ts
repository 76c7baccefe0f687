/**
 * Purpose: `daicho report …`: what the API answers, page after page, as a table, JSON or CSV. Nothing is counted here.
 */
import { createApiClient, type ApiClient, type Page, type Query } from "../client/client.ts";
import { usage, type Outcome } from "../command.ts";
import type { ReportFormat, ReportOptions } from "../commands/report.ts";
import { cliErrors } from "../errors.ts";
import { say, type Io } from "../io.ts";
import { csvLines } from "../output/csv.ts";
import { moneyText } from "../output/money.ts";
import { tableLines, type Cell } from "../output/table.ts";
import { changesReport } from "./changes.ts";
import { positionExplained } from "./explain.ts";
import { count, money, text, type Item, type Report } from "./columns.ts";

/** Licences first, numbers in the order of domain.md §3. */
export const positionColumns = [
  text("license"),
  text("name"),
  text("metric"),
  count("used"),
  count("held"),
  count("overUnder", "over/under"),
  count("idle"),
  count("rights"),
  count("requested"),
  count("required"),
];

const reports: Readonly<Record<string, Report>> = {
  position: { path: "/api/v1/positions", columns: positionColumns },
  departments: {
    path: "/api/v1/positions/departments",
    columns: [
      text("department"),
      text("license"),
      count("used"),
      count("rights"),
      count("overUnder", "over/under"),
      count("requested"),
      count("corrected"),
    ],
  },
  devices: {
    path: "/api/v1/devices",
    pageSize: 1000,
    selectable: true,
    columns: [
      text("id"),
      text("hostname"),
      text("serial"),
      text("state"),
      text("employee"),
      text("department"),
      text("lastSeenAt", "last seen"),
    ],
  },
  chargeback: {
    path: "/api/v1/chargebacks",
    pageSize: 1000,
    columns: [
      text("period"),
      text("license"),
      text("department"),
      text("costCentre", "cost centre"),
      count("quantity", "rights"),
      money("amount"),
    ],
  },
  software: {
    path: "/api/v1/software",
    pageSize: 1000,
    columns: [text("name"), text("version"), text("publisher"), text("source"), text("arch"), count("devices")],
  },
};

export async function printReport(kind: string, options: ReportOptions, io: Io): Promise<Outcome> {
  const format = options.json === true ? "json" : (options.format ?? "table");
  const query: Query = { ...(await queryOf(kind, options.where)), ...queryOfOptions(options) };
  const client = await createApiClient(options);
  if (kind === "reconcile") return printReconcile(client, format, io);
  const report =
    kind === "changes"
      ? changesReport(options.detail === true)
      : kind === "explain"
        ? positionExplained(options.license ?? "")
        : reports[kind];
  if (report === undefined) return usage("report", `there is no report ${kind}`);
  const fields = format === "table" && report.selectable === true ? columnsOf(report) : undefined;
  // What is explained is in the path.
  const { license: _, ...others } = query;
  const pages = client.pages(report.path, {
    limit: report.pageSize,
    fields,
    ...(kind === "explain" ? others : query),
  });
  await printers[format](pages, report, io);
  return 0;
}

function queryOfOptions(options: ReportOptions): Query {
  const { period, asOf, from, to, license, department, rollup, byDepartment, detail } = options;
  const by = byDepartment === true ? "department" : undefined;
  const all = { period, asOf, from, to, license, department, rollup, by, detail };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

const columnsOf = (report: Report): string => report.columns.map(({ field }) => field).join(",");

async function queryOf(kind: string, where: readonly string[]): Promise<Query> {
  const query: Record<string, string> = {};
  for (const part of where) {
    const at = part.indexOf("=");
    if (at < 1) return usage(`report ${kind}`, `--where ${part}: is not field=value`);
    query[part.slice(0, at)] = part.slice(at + 1);
  }
  return query;
}

type Printer = (pages: AsyncIterable<Page>, report: Report, io: Io) => Promise<void>;

const printers: Readonly<Record<ReportFormat, Printer>> = {
  /** Widths are those of the first page: a million rows must not wait in memory for the widest. */
  async table(pages, { columns, lines: linesOf, head: headOf }, io) {
    let head = true;
    for await (const page of pages) {
      const { items } = page;
      if (head) for (const line of headOf?.(page) ?? []) await say(io.out, line);
      const lines = tableLines(
        columns,
        (linesOf === undefined ? items : items.flatMap(linesOf)).map((item) =>
          columns.map((column) => cellIn(item, column)),
        ),
      );
      await io.out.write(`${(head ? lines : lines.slice(1)).map((line) => `${line}\n`).join("")}`);
      head = false;
    }
  },
  async json(pages, _report, io) {
    let between = '{\n  "items": [';
    let rest: object = {};
    for await (const { items, nextCursor: _, ...others } of pages) {
      if (between.startsWith("{")) rest = others;
      if (between.startsWith("{") && items.length === 0) {
        await io.out.write(between);
        between = "";
      }
      for (const item of items) {
        await io.out.write(`${between}\n    ${JSON.stringify(item)}`);
        between = ",";
      }
    }
    const fields = Object.entries(rest).map(
      ([name, value]) => `,\n  ${JSON.stringify(name)}: ${JSON.stringify(value)}`,
    );
    await io.out.write(`\n  ]${fields.join("")}\n}\n`);
  },
  /** Whole, because a field that only the last row has is a column too. */
  async csv(pages, { lines: linesOf, columns }, io) {
    const all: Item[] = [];
    for await (const { items } of pages) all.push(...(linesOf === undefined ? items : items.flatMap(linesOf)));
    const usual = columns.map(({ field }) => field);
    for (const line of csvLines(all, usual)) await io.out.write(`${line}\r\n`);
  },
};

function cellIn(item: Item, { field, money: isMoney }: Report["columns"][number]): Cell {
  const value = item[field];
  return isMoney === true && typeof value === "number" ? moneyText(value, String(item["currency"])) : cellOf(value);
}

function cellOf(value: unknown): Cell {
  return typeof value === "number" || value === null || value === undefined ? value : String(value);
}

const differenceFields = ["law", "department", "license", "device", "employee", "title", "stored", "recomputed"];

/** The server recomputes; any difference makes the exit status 1. */
async function printReconcile(client: ApiClient, format: ReportFormat, io: Io): Promise<Outcome> {
  const { body } = await client.get("/api/v1/reconcile");
  const { differences } = (body ?? {}) as { differences?: readonly Item[] };
  if (differences === undefined)
    throw cliErrors.make("answer-invalid", { server: client.server, reason: "no list of differences" });
  if (format === "json") await say(io.out, JSON.stringify(body, undefined, 2));
  else if (format === "csv")
    for (const line of csvLines(differences, differenceFields)) await io.out.write(`${line}\r\n`);
  else if (differences.length > 0) {
    const fields = [...new Set(differences.flatMap((item) => Object.keys(item)))];
    const columns = fields.map((title) => ({ title }));
    const rows = differences.map((item) => fields.map((field) => cellOf(item[field])));
    for (const line of tableLines(columns, rows)) await say(io.out, line);
  }
  if (differences.length > 0) await say(io.err, `${differences.length} stored totals differ from the recomputed ones`);
  else if (format === "table") await say(io.out, "Every stored total equals the recomputed one.");
  return differences.length === 0 ? 0 : 1;
}
