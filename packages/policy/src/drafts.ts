/**
 * Purpose: upkeep from inventory (domain.md §2): a ready-made definition for a title that no definition recognises.
 * Invariants: the draft parses, and it recognises the title it was made from, in every version.
 */
import type { SoftwareDefinition, Title } from "@daicho/protocol";
import { packageManagers } from "./language/probes.ts";
import { codeLimit, isCodeCharacter, quote } from "./language/tokens.ts";

/** `taken` keeps the proposed code unique among those already in use. */
export function draftDefinition(title: Title, taken: ReadonlySet<string> = new Set()): SoftwareDefinition {
  const name = clean(title.name).slice(0, 256) || "unnamed";
  const publisher = clean(title.publisher ?? "").slice(0, 256);
  return {
    code: proposeCode(name, taken),
    name,
    ...(publisher === "" ? {} : { publisher }),
    detect: proposeCondition(title),
  };
}

function proposeCondition(title: Title): string {
  const name = `name = ${quote(title.name)}`;
  const identifier = title.identifier === undefined ? "" : clean(title.identifier);
  if (title.source === "app-bundle" && identifier !== "") return `app(bundle = ${quote(identifier)})`;
  if (!hasControl(title.name)) {
    // Not by tag id: those carry the version.
    if (title.source === "swid") return `swid(${name})`;
    return (packageManagers as readonly string[]).includes(title.source)
      ? `package(manager = ${quote(title.source)}, ${name})`
      : `app(${name})`;
  }
  // A control character cannot be written; any one character in its place says the same.
  return `app(name ~ ${quote(replaceControl(title.name, "?"))})`;
}

function proposeCode(name: string, taken: ReadonlySet<string>): string {
  let stem = "";
  for (const c of name.normalize("NFKC").toUpperCase()) {
    if (isCodeCharacter(c)) stem += c;
    else if (stem !== "" && !stem.endsWith("-")) stem += "-";
  }
  while (stem.endsWith("-") || stem.endsWith(".")) stem = stem.slice(0, -1);
  stem = cut(stem === "" ? "SOFTWARE" : stem, codeLimit - 6);
  let code = `@${stem}`;
  for (let n = 2; taken.has(code); n++) code = `@${stem}-${n}`;
  return code;
}

function cut(text: string, limit: number): string {
  let result = "";
  for (const c of text) {
    if (result.length + c.length > limit) break;
    result += c;
  }
  return result;
}

function clean(text: string): string {
  return replaceControl(text, " ").trim();
}

function hasControl(text: string): boolean {
  return replaceControl(text, "") !== text;
}

function replaceControl(text: string, by: string): string {
  let result = "";
  for (const c of text) {
    const code = c.charCodeAt(0);
    result += code < 32 || code === 127 ? by : c;
  }
  return result;
}
