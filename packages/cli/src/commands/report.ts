import { Command, Option } from "commander";
import { withClientOptions, withExamples, type ClientOptions, type Context } from "../command.ts";

export const reportFormats = ["table", "json", "csv"] as const;
export type ReportFormat = (typeof reportFormats)[number];

export interface ReportOptions extends ClientOptions {
  readonly format?: ReportFormat;
  readonly json?: true;
  readonly where: readonly string[];
  /** Of chargebacks. */
  readonly period?: string;
}

const kinds: readonly (readonly [kind: string, says: string])[] = [
  ["position", "the company's position: per licence used, held, over and under"],
  ["departments", "per department and licence: used, rights, over and under"],
  ["devices", "the hardware ledger"],
  ["software", "installed titles as found, with the number of devices"],
  ["chargeback", "who pays for what purchase runs bought"],
  [
    "reconcile",
    "which stored totals differ from what device facts add up to, all recomputed; exit status 1 on any difference",
  ],
];

export function reportCommand(context: Context): Command {
  const command = withExamples(new Command("report"), [
    ["daicho report position", "what is used and what is held, licence by licence"],
    ["daicho report reconcile", "recomputes every total; exit status 1 on any difference"],
  ]).description("Print what the server knows");
  for (const [kind, says] of kinds) command.addCommand(oneReport(context, kind, says));
  return command;
}

function oneReport(context: Context, kind: string, says: string): Command {
  const command = new Command(kind);
  if (kind === "chargeback") command.option("--period <period>", "only this period, such as 2026-11");
  return withClientOptions(
    withExamples(command, [
      [`daicho report ${kind}`, "as a table"],
      [`daicho report ${kind} --json`, "as the server's { items }, all pages of it"],
      [`daicho report ${kind} --format csv > ${kind}.csv`, "for a spreadsheet"],
    ]),
  )
    .description(`Print ${says}`)
    .addOption(new Option("--format <format>", "form of the output").choices(reportFormats).default("table"))
    .option("--json", "the same as --format json")
    .option(
      "--where <field=value>",
      "only what has this value, as the API's own filters take it; repeatable",
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .action(async (options: ReportOptions) => {
      const { printReport } = await import("../report/report.ts");
      context.outcome = await printReport(kind, options, context.io);
    });
}
