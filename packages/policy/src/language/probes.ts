/**
 * Purpose: the probes of recognition conditions - which exist, their fields, and which operators each field takes -
 * and the parsed form of one probe with its canonical text.
 * Invariants: adding a probe or a field is one line in this table; parser, checks and matchers read it. Two probes
 * that say the same have the same canonical text, however they were written.
 */
import type { TitleSource } from "@daicho/protocol";
import { quote } from "./tokens.ts";

export type ProbeName = "file" | "registry" | "package" | "app" | "swid";
/** Who can answer: titles are known wherever an inventory is; files and registry only on the machine itself. */
export type ProbeKind = "title" | "file" | "registry";
export type Operator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~";

/**
 * How values of a field compare. `path` and `key` are text with separators made alike, `data` is text that compares
 * like a version when it is ordered.
 */
export type FieldType = "text" | "path" | "key" | "data" | "version" | "size" | "hash" | "manager";

export interface Comparison {
  readonly field: string;
  readonly op: Operator;
  readonly value: string;
}

export interface Probe {
  /** Canonical: fields in table order, values quoted. The identity of the probe. */
  readonly text: string;
  readonly name: ProbeName;
  readonly kind: ProbeKind;
  readonly comparisons: readonly Comparison[];
}

interface ProbeShape {
  readonly kind: ProbeKind;
  readonly fields: Readonly<Record<string, FieldType>>;
  /** At least one of these must be given with = or ~. */
  readonly needs: readonly string[];
}

export const probeShapes: Readonly<Record<ProbeName, ProbeShape>> = {
  file: {
    kind: "file",
    fields: {
      name: "text",
      path: "path",
      size: "size",
      version: "version",
      sha256: "hash",
      product: "text",
      company: "text",
    },
    needs: ["name", "path"],
  },
  registry: { kind: "registry", fields: { key: "key", value: "text", data: "data" }, needs: ["key"] },
  package: {
    kind: "title",
    fields: { manager: "manager", name: "text", version: "version", publisher: "text" },
    needs: [],
  },
  app: { kind: "title", fields: { name: "text", publisher: "text", version: "version", bundle: "text" }, needs: [] },
  swid: { kind: "title", fields: { tagId: "text", name: "text", version: "version", creator: "text" }, needs: [] },
};

export const probeNames = Object.keys(probeShapes) as readonly ProbeName[];

const ordered: readonly Operator[] = ["=", "!=", ">", ">=", "<", "<="];
const all: readonly Operator[] = [...ordered, "~"];
export const operatorsOf: Readonly<Record<FieldType, readonly Operator[]>> = {
  text: ["=", "!=", "~"],
  path: ["=", "!=", "~"],
  key: ["=", "!=", "~"],
  data: all,
  version: all,
  size: ordered,
  hash: ["=", "!="],
  manager: ["=", "!=", "~"],
};

/** The sources `package` looks at. A Windows Uninstall entry that is no MSI product has no package manager: use `app`. */
export const packageManagers = [
  "dpkg",
  "rpm",
  "apk",
  "pacman",
  "homebrew",
  "msi",
  "msix",
  "flatpak",
  "snap",
] as const satisfies readonly TitleSource[];

export function isProbeName(name: string): name is ProbeName {
  return Object.hasOwn(probeShapes, name);
}

export function fieldType(probe: ProbeName, field: string): FieldType | undefined {
  const { fields } = probeShapes[probe];
  return Object.hasOwn(fields, field) ? fields[field] : undefined;
}

export const probeTextLimit = 2048;

/** Sorts, drops repetitions and prints. */
export function makeProbe(name: ProbeName, comparisons: readonly Comparison[]): Probe {
  const shape = probeShapes[name];
  const rank = new Map(Object.keys(shape.fields).map((field, i) => [field, i]));
  const sorted = comparisons
    .map((c) => ({ ...c, printed: `${c.field} ${c.op} ${quote(c.value)}` }))
    .sort(
      (a, b) =>
        (rank.get(a.field) ?? 0) - (rank.get(b.field) ?? 0) ||
        all.indexOf(a.op) - all.indexOf(b.op) ||
        (a.value < b.value ? -1 : a.value > b.value ? 1 : 0),
    )
    .filter((c, i, list) => i === 0 || list[i - 1]?.printed !== c.printed);
  return {
    name,
    kind: shape.kind,
    comparisons: sorted.map(({ field, op, value }) => ({ field, op, value })),
    text: `${name}(${sorted.map((c) => c.printed).join(", ")})`,
  };
}
