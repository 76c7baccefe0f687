import { Command, Option } from "commander";
import { usage, withClientOptions, withExamples, type ClientOptions, type Context } from "../command.ts";

export const reportFormats = ["table", "json", "csv"] as const;
export type ReportFormat = (typeof reportFormats)[number];

export interface ReportOptions extends ClientOptions {
  readonly format?: ReportFormat;
  readonly json?: true;
  readonly where: readonly string[];
  /** Of chargebacks. */
  readonly period?: string;
  /** Of positions. */
  readonly asOf?: string;
  /** Of changes. */
  readonly from?: string;
  readonly to?: string;
  readonly license?: string;
  readonly department?: string;
  readonly rollup?: true;
  readonly byDepartment?: true;
  readonly detail?: true;
}

const kinds: readonly (readonly [kind: string, says: string])[] = [
  ["position", "the company's position: per licence used, held, over and under"],
  ["departments", "per department and licence: used, rights, over and under"],
  ["changes", "what changed between two moments, by cause; the causes add up to the difference"],
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
    ["daicho report position --as-of 2026-03-31", "the same as it was recorded at the end of that day (UTC)"],
    ["daicho report reconcile", "recomputes every total; exit status 1 on any difference"],
  ]).description("Print what the server knows");
  for (const [kind, says] of kinds) command.addCommand(oneReport(context, kind, says));
  command.addCommand(explainCommand(context));
  return command;
}

function oneReport(context: Context, kind: string, says: string): Command {
  const command = new Command(kind);
  if (kind === "chargeback") command.option("--period <period>", "only this period, such as 2026-11");
  if (kind === "position" || kind === "departments")
    command.option("--as-of <time>", "as it was recorded at this moment; a date stands for the end of that day (UTC)");
  if (kind === "changes")
    command
      .requiredOption("--from <time>", "a moment; a date stands for the end of that day (UTC)")
      .option("--to <time>", "another one; now, unless given")
      .option("--license <code>", "only this licence")
      .option("--department <code>", "of this department instead of the company")
      .option("--rollup", "with everything below the department")
      .option("--by-department", "of every department by itself")
      .option("--detail", "the single events, by time");
  const line = `daicho report ${kind}${kind === "changes" ? " --from 2026-03-31" : ""}`;
  const reconciles = kind === "reconcile";
  return withClientOptions(
    withExamples(command, [
      [line, reconciles ? "the differences as a table, or that there are none" : "as a table"],
      [`${line} --json`, reconciles ? "as the server's { differences }" : "as the server's { items }, all pages of it"],
      [`${line} --format csv > ${kind}.csv`, "for a spreadsheet"],
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

function explainCommand(context: Context): Command {
  return withClientOptions(
    withExamples(new Command("explain"), [
      [
        "daicho report explain PC-0042 @LIBO",
        "why the device uses the licence, or does not: evidence, rule, for whom, what covers it",
      ],
      [
        "daicho report explain --license @LIBO --department D001",
        "why this number? The installations it is the sum of",
      ],
      ["daicho report explain --license @LIBO --json", "with totals and entitlements"],
    ]),
  )
    .description("Say why: a licence on a device, or a position down to its installations and entitlements")
    .argument("[device]", "id of a device")
    .argument("[license]", "licence code")
    .option("--license <code>", "a position's licence, instead of a device")
    .option("--department <code>", "of this department instead of the company")
    .option("--rollup", "with everything below the department")
    .option("--as-of <time>", "as it was recorded at this moment; a date stands for the end of that day (UTC)")
    .addOption(new Option("--format <format>", "form of the output").choices(reportFormats).default("table"))
    .option("--json", "the same as --format json")
    .action(async (device: string | undefined, license: string | undefined, options: ReportOptions) => {
      if (device !== undefined && license !== undefined && options.license === undefined) {
        const { explainDevice } = await import("../report/explain.ts");
        context.outcome = await explainDevice(device, license, options, context.io);
      } else if (device === undefined && options.license !== undefined) {
        const { printReport } = await import("../report/report.ts");
        // `license` is in the path.
        context.outcome = await printReport("explain", { ...options, where: [] }, context.io);
      } else context.outcome = await usage("report explain", "names a device and a licence, or --license");
    });
}
