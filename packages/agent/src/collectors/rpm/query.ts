/**
 * Purpose: the one question put to a live `rpm`, and the reading of its answer: a line per package, fields parted by tabs,
 * `(none)` where a package has no such field.
 * On failure: a line with another number of fields (a vendor may contain a tab) is an error with its number.
 */
import type { Findings } from "../findings.ts";
import type { RpmHeader } from "./header.ts";

const fields = ["NAME", "EPOCH", "VERSION", "RELEASE", "ARCH", "VENDOR", "PACKAGER", "INSTALLTIME", "LONGSIZE"];

export const queryArguments = ["-qa", "--queryformat", `${fields.map((field) => `%{${field}}`).join("\\t")}\\n`];

export function parseQuery(
  output: string,
  place: string,
  add: (header: RpmHeader, where: string) => void,
  findings: Findings,
): void {
  for (const [index, line] of output.split("\n").entries()) {
    if (line === "") continue;
    const values = line.split("\t").map((value) => (value === "(none)" ? undefined : value));
    if (values.length !== fields.length) {
      findings.error(place, "malformed", `line ${index + 1} of the answer of rpm has ${values.length} fields`);
      continue;
    }
    const [name, epoch, version, release, arch, vendor, packager, installTime, size] = values;
    const number = (text: string | undefined): number | undefined =>
      text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
    const header = { name, version, release, arch, vendor, packager };
    add({ ...header, epoch: number(epoch), installTime: number(installTime), size: number(size) }, `line ${index + 1}`);
  }
}
