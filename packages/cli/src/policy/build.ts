/** Purpose: `daicho policy build`. Nothing is written where there is a fault. */
import { join } from "node:path";
import type { Outcome } from "../command.ts";
import { writeWhole } from "../files/write.ts";
import { say, type Io } from "../io.ts";
import { documentsOf } from "./documents.ts";
import { soundPolicies } from "./load.ts";

export async function buildPolicyFiles(
  files: readonly string[],
  options: { readonly out: string; readonly company: string; readonly json?: true },
  io: Io,
): Promise<Outcome> {
  const policies = await soundPolicies(files, io);
  if (policies === undefined) return 1;
  const { dictionary, licensePolicy } = documentsOf(policies, options.company, io.env);
  const written = [];
  const metricRules = licensePolicy.metrics?.length ?? 0;
  for (const [name, document, entries, metrics] of [
    ["dictionary.json", dictionary, dictionary.software.length, 0],
    ["license-policy.json", licensePolicy, licensePolicy.rules.length, metricRules],
  ] as const) {
    const file = join(options.out, name);
    await writeWhole(file, `${JSON.stringify(document, undefined, 2)}\n`);
    written.push({ file, version: document.version, entries, ...(metrics > 0 && { metricRules: metrics }) });
  }
  if (options.json === true) await say(io.out, JSON.stringify({ written }, undefined, 2));
  else
    for (const { file, version, entries, metricRules: metrics } of written) {
      const rules = metrics === undefined ? "" : `, ${metrics} metric rules`;
      await say(io.out, `${file} (version ${version}, ${entries} entries${rules})`);
    }
  return 0;
}
