/**
 * Purpose: the Uninstall keys, read as Windows' own "Programs and Features" reads them.
 * Invariants: components, updates and patches are recognised as such and are no titles; nothing is filled in that the key does not
 * say (a date that is no date is left out). One key name, name and version seen in several views or hives is one title.
 * Differs from Windows in one point on purpose: an entry without an UninstallString is listed; it is installed all the same.
 */
import type { Findings } from "../findings.ts";
import { valueText, type RegistryTree, type RegistryValue } from "./tree.ts";

export const uninstallSuffix = "Microsoft\\Windows\\CurrentVersion\\Uninstall";

export type UninstallKind = "title" | "unnamed" | "component" | "update";

/** What an Uninstall entry is, from its key's name and values. */
export function classifyEntry(key: string, values: readonly RegistryValue[]): UninstallKind {
  const name = valueText(values, "DisplayName")?.trim();
  if (name === undefined || name === "" || kindOf(values, "DisplayName") !== "string") return "unnamed";
  if (valueText(values, "SystemComponent") === "1") return "component";
  if (valueText(values, "ParentKeyName") !== undefined) return "update";
  if (valueText(values, "ParentDisplayName") !== undefined) return "update";
  if (updateReleases.has(valueText(values, "ReleaseType")?.replaceAll(" ", "").toLowerCase() ?? "")) return "update";
  if ([key, name].some((text) => patchKey.test(text))) return "update";
  if (knowledgeBase.test(name) && updateWord.test(name)) return "update";
  return "title";
}

function kindOf(values: readonly RegistryValue[], name: string): RegistryValue["kind"] | undefined {
  return values.find((value) => value.name.toLowerCase() === name.toLowerCase())?.kind;
}

/** Written with and without spaces. */
const updateReleases = new Set(
  "update securityupdate criticalupdate definitionupdate updaterollup hotfix servicepack".split(" "),
);
/** `{product code}.KB2468871`, `KB954430`, `{…}_Office15.PROPLUSR_{…}.KB2760272v2`: patches registered beside their product. */
const patchKey = /(?:^|[}._])KB\d{5,8}(?:-?v\d+)?$/i;
const knowledgeBase = /\bKB\d{5,8}\b/i;
/** "Update" in the languages Windows updates come in. A product may be named after an article (MSXML 4.0 SP2 (KB954430)). */
const updateWord =
  /update|hotfix|service pack|^gdr |更新|修正|アップデート|업데이트|обновлени|исправлени|aktualis|aktualiz|актуализ|оновленн|mise à jour|correctif|actualiz|atualiza|aggiornamento|oppdatering|uppdatering|opdatering|päivitys|frissítés|güncelle|posodobit|ažurir|ενημέρωσ|עדכון|تحديث|cập nhật|อัปเดต/i;

/** Hands every title below the tree's Uninstall keys to `findings`. */
export function collectUninstall(tree: RegistryTree, findings: Findings): void {
  const seen = new Set<string>();
  const nativeArch = machineArch(tree);
  for (const place of tree.below(uninstallSuffix)) {
    for (const key of tree.subkeys(place)) {
      const path = `${place}\\${key}`;
      const values = tree.values(path);
      if (classifyEntry(key, values) !== "title") continue;
      const name = valueText(values, "DisplayName") ?? "";
      const version = versionOf(values);
      const identity = `${key.toLowerCase()}\0${name}\0${version}`;
      if (seen.has(identity)) continue;
      seen.add(identity);
      findings.title(path, {
        name: name.trim(),
        version,
        publisher: valueText(values, "Publisher")?.trim(),
        source: valueText(values, "WindowsInstaller") === "1" ? "msi" : "registry",
        arch: archOf(place, nativeArch),
        identifier: key,
        installedAt: dateOf(valueText(values, "InstallDate")),
        size: sizeOf(valueText(values, "EstimatedSize")),
        path: valueText(values, "InstallLocation")
          ?.trim()
          .replace(/^"(.*)"$/, "$1"),
        lastUsedAt: undefined,
      });
    }
  }
}

function versionOf(values: readonly RegistryValue[]): string {
  const shown = valueText(values, "DisplayVersion")?.trim();
  if (shown !== undefined && shown !== "") return shown;
  const major = valueText(values, "VersionMajor");
  const minor = valueText(values, "VersionMinor");
  if (major !== undefined && /^\d+$/.test(major)) return /^\d+$/.test(minor ?? "") ? `${major}.${minor}` : major;
  const packed = values.find((value) => value.name.toLowerCase() === "version");
  if (packed === undefined) return "";
  if (packed.kind !== "number") return packed.kind === "string" ? packed.text.trim() : "";
  // The Windows Installer packs major, minor and build into one number: 8, 8 and 16 bits.
  const number = Number(packed.text);
  return number === 0 ? "" : `${(number >>> 24) & 0xff}.${(number >>> 16) & 0xff}.${number & 0xffff}`;
}

/** yyyymmdd as a date; installers write other things too (a local format, seconds), which cannot be told apart for certain. */
function dateOf(text: string | undefined): string | undefined {
  const match = /^(\d{4})(\d{2})(\d{2})$/.exec(text?.trim() ?? "");
  if (match === null) return undefined;
  const date = `${match[1]}-${match[2]}-${match[3]}`;
  const time = Date.parse(`${date}T00:00:00Z`);
  // Date.parse accepts the 31st of every month and rolls over.
  if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== date) return undefined;
  return Number(match[1]) >= 1980 ? date : undefined;
}

function sizeOf(kibibytes: string | undefined): number | undefined {
  const size = kibibytes !== undefined && /^\d{1,12}$/.test(kibibytes) ? Number(kibibytes) * 1024 : undefined;
  return Number.isSafeInteger(size) ? size : undefined;
}

/**
 * The architecture that the place of an entry says: below WOW6432Node it is x86; elsewhere in the machine's hive it is the machine's
 * own. A user's hive has but one view, which says nothing.
 */
function archOf(place: string, nativeArch: string | undefined): string | undefined {
  const above = place.slice(0, -uninstallSuffix.length).replace(/\\$/, "").toUpperCase().split("\\");
  if (above.at(-1) === "WOW6432NODE") return "x86";
  // HKLM\SOFTWARE, a SOFTWARE hive mounted under another name, or its bare content; a user's hive has SOFTWARE inside it.
  const user = above[0] === "HKEY_CURRENT_USER" || above[0] === "SOFTWARE" || above.length > 2;
  return user ? undefined : nativeArch;
}

/** x64 unless Windows says otherwise; on ARM the native view holds titles of several architectures. */
function machineArch(tree: RegistryTree): string | undefined {
  for (const path of tree.below("Microsoft\\Windows NT\\CurrentVersion")) {
    const build = valueText(tree.values(path), "BuildLabEx") ?? valueText(tree.values(path), "BuildLab");
    if (build === undefined) continue;
    if (/\.x86fre\./i.test(build)) return "x86";
    if (/\.arm64fre\./i.test(build)) return undefined;
    return "x64";
  }
  return "x64";
}
