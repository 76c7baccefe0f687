/**
 * Purpose: `daicho policy explain`: which rule gave which licence on an inventory, and why the others gave none. The counting
 * is the server's own function.
 */
import { compileDictionary, compileRules, type Explanation } from "@daicho/policy";
import { validateInventory, type Evidence, type Inventory } from "@daicho/protocol";
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
  const codes =
    inventory.codes ?? compileDictionary(dictionary.software).recognizeInventory({ titles: inventory.software });
  const explanation = compileRules(licensePolicy).explain(codes);
  if (options.json === true) await say(io.out, JSON.stringify(explanation, undefined, 2));
  else for (const line of wordsOf(explanation, options.all === true)) await say(io.out, line);
  return 0;
}

async function readInventory(file: string): Promise<Inventory> {
  const checked = validateInventory(await readJson(file, expected));
  if (checked.ok) return checked.value;
  const [fault] = checked.faults;
  throw cliErrors.make("file-invalid", {
    file,
    reason: `${fault?.path ?? ""} ${fault?.message ?? "is not valid"}`.trim(),
    expected,
  });
}

function wordsOf({ codes, licenses, notMatched }: Explanation, all: boolean): string[] {
  const lines = [`${codes.length} codes, ${licenses.length} licences`];
  for (const { license, rule, place, codes: held, evidence } of licenses) {
    lines.push("", license, `  ${rule === null ? "counts as itself: no rule mentions it" : `by ${rule}  (${place})`}`);
    lines.push(`  codes: ${held.join(", ")}`, ...evidence.map((e) => `  found: ${foundWords(e)}`));
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
