/**
 * Purpose: `daicho policy explain`: which rule gave which licence on an inventory, and why the others gave none. The counting
 * is the server's own function.
 */
import { countUnits, createMetricBook, measuredHardware, type UnitCount } from "@daicho/licensing";
import { compileDictionary, compileRules, type ExplainedLicense, type Explanation } from "@daicho/policy";
import { validateInventory, type Evidence, type Inventory, type LicensePolicy } from "@daicho/protocol";
import type { Outcome } from "../command.ts";
import { cliErrors } from "../errors.ts";
import { readJson } from "../files/read.ts";
import { say, type Io } from "../io.ts";
import { harmless } from "../output/width.ts";
import { documentsOf } from "./documents.ts";
import { soundPolicies } from "./load.ts";

const expected = "an inventory as `daicho agent scan` prints it";

export async function explainInventory(
  files: readonly string[],
  options: { readonly inventory: string; readonly all?: true; readonly json?: true },
  io: Io,
): Promise<Outcome> {
  const policies = await soundPolicies(files, io);
  if (policies === undefined) return 1;
  const inventory = await readInventory(options.inventory);
  const { dictionary, licensePolicy } = documentsOf(policies, "local", io.env);
  // An empty list says no more than none does: what the titles yield is found here, as the server does with an import.
  const codes = inventory.codes?.length
    ? inventory.codes
    : compileDictionary(dictionary.software).recognizeInventory({ titles: inventory.software });
  const explained = compileRules(licensePolicy).explain(codes);
  const count = unitCounter(licensePolicy, inventory);
  const explanation = { ...explained, licenses: explained.licenses.map((l) => ({ ...l, ...count(l.license) })) };
  if (options.json === true) await say(io.out, JSON.stringify(explanation, undefined, 2));
  else for (const line of wordsOf(explanation, options.all === true)) await say(io.out, line);
  return 0;
}

export async function readInventory(file: string): Promise<Inventory> {
  const checked = validateInventory(await readJson(file, expected));
  if (checked.ok) return checked.value;
  const [fault] = checked.faults;
  throw cliErrors.make("file-invalid", {
    file,
    reason: `${fault?.path ?? ""} ${fault?.message ?? "is not valid"}`.trim(),
    expected,
  });
}

/** What a metric rule makes of the machine, for licences that one counts. */
interface Counted {
  readonly count?: UnitCount & { readonly metricRule: string };
}

function unitCounter(policy: LicensePolicy, { hardware }: Inventory): (license: string) => Counted {
  const book = createMetricBook(policy.metrics ?? []);
  const ruleOf = new Map<string, string>();
  for (const { rule, count } of policy.rules) {
    const license = rule.slice(rule.lastIndexOf("=") + 1).trim();
    if (count !== undefined && !ruleOf.has(license)) ruleOf.set(license, count);
  }
  return (license) => {
    const metricRule = ruleOf.get(license);
    const metric = metricRule === undefined ? undefined : book.at(metricRule, Date.now());
    if (metricRule === undefined || metric === undefined) return {};
    return { count: { metricRule, ...countUnits(metric, measuredHardware(hardware)) } };
  };
}

/** One line a step, and the result. */
export function countWords({ units, unit, packs, packSize, userMinimum, steps }: UnitCount): string[] {
  const inPacks = packs === undefined ? "" : ` = ${packs} packs of ${packSize}`;
  const users = userMinimum === undefined || unit === "user" ? "" : `, at least ${userMinimum} users`;
  return [
    ...steps.map(({ step, value, says }) => `${step}: ${value}  (${says})`),
    `${units} ${unit}${units === 1 ? "" : "s"}${inPacks}${users}`,
  ];
}

function wordsOf(
  { codes, licenses, notMatched }: Explanation & { readonly licenses: readonly (ExplainedLicense & Counted)[] },
  all: boolean,
): string[] {
  const lines = [`${codes.length} codes, ${licenses.length} licences`];
  for (const { license, rule, place, codes: held, evidence, count } of licenses) {
    lines.push("", license, `  ${rule === null ? "counts as itself: no rule mentions it" : `by ${rule}  (${place})`}`);
    lines.push(`  codes: ${held.join(", ")}`, ...evidence.map((e) => `  found: ${foundWords(e)}`));
    if (count !== undefined) lines.push(...countWords(count).map((line) => `  ${count.metricRule}: ${line}`));
  }
  // Most rules fail because nothing of theirs is installed; that is no news unless asked for.
  const shown = all ? notMatched : notMatched.filter(({ reason }) => reason !== "absent");
  if (shown.length > 0) lines.push("", "Not counted:");
  for (const { license, rule, place, because } of shown)
    lines.push(`  ${license}: ${because}`, `    ${rule}  (${place})`);
  const hidden = notMatched.length - shown.length;
  if (hidden > 0) lines.push("", `${hidden} more rules found nothing of theirs; --all shows them.`);
  return lines.map(harmless);
}

function foundWords({ probe, found }: Evidence): string {
  const fields = Object.entries(found).map(([name, value]) => `${name} ${value}`);
  return `${fields.join(", ")}  by ${probe}`;
}
