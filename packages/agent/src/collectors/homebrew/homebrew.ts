/**
 * Purpose: what Homebrew poured: formulae in Cellar, casks in Caskroom.
 * Invariants: a directory `<name>/<version>` is one title (Homebrew keeps several versions side by side), receipts only add to it.
 * On failure: an unreadable or broken receipt is an error, its title stays without what it would have said.
 */
import type { Collector } from "../collector.ts";
import { createFindings, rfc3339, type Findings } from "../findings.ts";
import { parseObject } from "../json.ts";
import { rootedFiles, type RootedFiles } from "../rooted-files.ts";

const prefixes = ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"];
const maxBytes = 4 * 1024 * 1024;

export const homebrew: Collector = {
  name: "homebrew",
  platforms: ["darwin", "linux"],
  collect(context) {
    const files = rootedFiles(context.root, context.live);
    const findings = createFindings();
    for (const prefix of prefixes) {
      forEachVersion(`${prefix}/Cellar`, files, findings, (place, name, version) => {
        const receipt = readReceipt(`${place}/INSTALL_RECEIPT.json`, files, findings);
        findings.title(place, { name, version, source: "homebrew", path: place, ...receipt });
      });
      forEachVersion(`${prefix}/Caskroom`, files, findings, (place, name, version) => {
        const metadata = `${prefix}/Caskroom/${name}/.metadata`;
        const receipt = readReceipt(`${metadata}/INSTALL_RECEIPT.json`, files, findings);
        const installedAt = caskDate(`${metadata}/${version}`, files, findings) ?? receipt.installedAt;
        findings.title(place, { name, version, source: "homebrew", path: place, ...receipt, installedAt });
      });
    }
    return findings.result();
  },
};

function forEachVersion(
  cellar: string,
  files: RootedFiles,
  findings: Findings,
  visit: (place: string, name: string, version: string) => void,
): void {
  const directories = (place: string): string[] =>
    (findings.attempt(place, () => files.list(place)) ?? [])
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map((entry) => entry.name);
  for (const name of directories(cellar)) {
    for (const version of directories(`${cellar}/${name}`)) visit(`${cellar}/${name}/${version}`, name, version);
  }
}

interface Receipt {
  readonly installedAt?: string | undefined;
  readonly arch?: string | undefined;
}

function readReceipt(place: string, files: RootedFiles, findings: Findings): Receipt {
  return findings.attempt(place, () => parseReceipt(files.readText(place, maxBytes))) ?? {};
}

export function parseReceipt(text: string): Receipt {
  const { time, arch } = parseObject(text);
  return {
    installedAt: typeof time === "number" ? rfc3339(time * 1000) : undefined,
    arch: typeof arch === "string" ? arch : undefined,
  };
}

/** Casks: `.metadata/<version>/20240131093000.123/` is the moment of installation. */
function caskDate(place: string, files: RootedFiles, findings: Findings): string | undefined {
  const stamps = (findings.attempt(place, () => files.list(place)) ?? []).map((entry) => entry.name);
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?$/.exec(stamps.at(-1) ?? "");
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match.map(Number);
  return rfc3339(Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second));
}
