/** Purpose: `daicho policy count`: a metric rule of the policies applied to a machine, without a server. The counting is the server's own function. */
import { countUnits, createMetricBook, measuredHardware } from "@daicho/licensing";
import { validateMeasuredHardware, type MeasuredHardware } from "@daicho/protocol";
import { usage, type Outcome } from "../command.ts";
import { cliErrors } from "../errors.ts";
import { readJson } from "../files/read.ts";
import { say, type Io } from "../io.ts";
import { harmless } from "../output/width.ts";
import { documentsOf } from "./documents.ts";
import { countWords, readInventory } from "./explain.ts";
import { soundPolicies } from "./load.ts";

const expected = 'hardware such as { "cpu": { "model": "…", "sockets": 2, "cores": 16 }, "virtualMachines": 2 }';

export async function countByPolicy(
  files: readonly string[],
  options: {
    readonly metric: string;
    readonly hardware?: string;
    readonly inventory?: string;
    readonly at?: string;
    readonly json?: true;
  },
  io: Io,
): Promise<Outcome> {
  const at = options.at === undefined ? Date.now() : Date.parse(options.at);
  if (Number.isNaN(at)) await usage("policy count", `--at ${options.at ?? ""} is no date`);
  const policies = await soundPolicies(files, io);
  if (policies === undefined) return 1;
  const book = createMetricBook(documentsOf(policies, "local", io.env).licensePolicy.metrics ?? []);
  if (!book.ids.includes(options.metric)) {
    const known = book.ids.length === 0 ? "they have none" : `they have ${book.ids.join(", ")}`;
    throw cliErrors.make("metric-rule-unknown", { id: options.metric, known });
  }
  const metric = book.at(options.metric, at);
  if (metric === undefined)
    throw cliErrors.make("metric-rule-not-in-force", { id: options.metric, at: new Date(at).toISOString() });
  const hardware =
    options.hardware === undefined
      ? measuredHardware((await readInventory(options.inventory ?? "")).hardware)
      : await readHardware(options.hardware);
  const counted = countUnits(metric, hardware);
  const { validFrom } = metric.rule;
  const rule = { rule: options.metric, ...(validFrom !== undefined && { validFrom }) };
  if (options.json === true) await say(io.out, JSON.stringify({ ...rule, hardware, ...counted }, undefined, 2));
  else for (const line of countWords(counted)) await say(io.out, harmless(line));
  return 0;
}

async function readHardware(file: string): Promise<MeasuredHardware> {
  const checked = validateMeasuredHardware(await readJson(file, expected));
  if (checked.ok) return checked.value;
  const [fault] = checked.faults;
  const reason = `${fault?.path ?? ""} ${fault?.message ?? "is not valid"}`.trim();
  throw cliErrors.make("file-invalid", { file, reason, expected });
}
