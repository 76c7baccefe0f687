/** Purpose: `daicho policy check`. */
import type { Outcome } from "../command.ts";
import { say, type Io } from "../io.ts";
import { faultLine, loadPolicyFiles } from "./load.ts";

export async function checkPolicyFiles(files: readonly string[], options: { json?: true }, io: Io): Promise<Outcome> {
  const { faults, policies } = await loadPolicyFiles(files);
  if (options.json === true) await say(io.out, JSON.stringify({ faults }, undefined, 2));
  else {
    for (const fault of faults) await say(io.err, faultLine(fault));
    for (const policy of policies ?? []) {
      const { file, id, edition, version, software, licenses } = policy;
      await say(
        io.out,
        `${file}: sound (${id}, ${edition}, version ${version}: ${software.length} codes, ${licenses.length} rules)`,
      );
    }
  }
  return faults.length === 0 ? 0 : 1;
}
