/**
 * Purpose: from facts to soft codes: a dictionary compiled so that a device costs only what it has. The same function
 * runs on the agent (codes of a scan) and on the server (codes of every stored device).
 * Invariants: pure; codes come in document order, whatever the order of the facts. A definition this version cannot read
 * (a dictionary from a newer server) is left out and named in `faults`; the others go on working.
 */
import {
  canonicalJson,
  sha256Hex,
  type Evidence,
  type RecognizedCode,
  type SoftwareDefinition,
  type Title,
} from "@daicho/protocol";
import { makeFault, type PolicyFault } from "../faults.ts";
import { eachTerm, holdingTerms, holds, mapTerms, type Expression } from "../language/expression.ts";
import { parseCondition, printCondition } from "../language/condition.ts";
import type { Probe } from "../language/probes.ts";
import { compareVersions } from "../version/index.ts";
import { createTitleMatcher } from "./titles.ts";

/** A machine probe that holds, as an agent reports it: the probe's canonical text and what satisfied it. */
export interface ProbeHit {
  readonly probe: string;
  readonly found: Readonly<Record<string, string>>;
}

/** The probes that hold: a set of their indexes, or the same as bits (index i = bit i % 32 of word i / 32). */
export type HoldingProbes = ReadonlySet<number> | Uint32Array;

export interface Recognizer {
  /** The distinct probes of the dictionary, in order of first mention. */
  readonly probes: readonly Probe[];
  /** The codes that are recognised, in document order. */
  readonly codes: readonly string[];
  /** Definitions that could not be read: `file` is their code, the place is in their condition. */
  readonly faults: readonly PolicyFault[];
  /** The index of a probe by its canonical text. */
  probeIndex(text: string): number | undefined;
  /** The indexes of the title probes that this title satisfies, ascending. */
  matchTitle(title: Title): readonly number[];
  /** The codes whose condition holds, in document order. */
  recognize(holding: HoldingProbes): readonly string[];
  /** The title probes that speak for a code, those under NOT left out: what titles satisfy one of them show that it is there. */
  titleProbesOf(code: string): ReadonlySet<number>;
  /** Whether titles alone decide about a code: no `file` or `registry` probe in its condition. */
  titleAnswerable(code: string): boolean;
  /** Changes exactly when what the definition recognises, or the version it states, may change. */
  definitionDigest(code: string): string | undefined;
  recognizeInventory(facts: {
    readonly titles: readonly Title[];
    readonly hits?: readonly ProbeHit[];
  }): RecognizedCode[];
}

interface Definition {
  readonly code: string;
  readonly version: string | undefined;
  readonly condition: Expression<number>;
  readonly titleOnly: boolean;
  /** The condition, printed. */
  readonly text: string;
}

const evidenceLimit = 64;
const noProbes: ReadonlySet<number> = new Set();

export function compileDictionary(definitions: readonly SoftwareDefinition[]): Recognizer {
  const steps = dictionarySteps(definitions);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same definition by definition, for whoever cannot stand still until thousands are read. */
export function* dictionarySteps(definitions: readonly SoftwareDefinition[]): Generator<void, Recognizer> {
  const probes: Probe[] = [];
  const indexes = new Map<string, number>();
  const compiled: Definition[] = [];
  const faults: PolicyFault[] = [];
  const byCode = new Map<string, Definition>();
  const proofs = new Map<string, Set<number>>();
  /** For every probe the definitions that mention it, as positions in `compiled`. */
  const mentions: number[][] = [];
  /** Definitions that hold where no probe does. */
  const unconditional: number[] = [];

  const indexOf = (probe: Probe): number => {
    let index = indexes.get(probe.text);
    if (index === undefined) {
      index = probes.length;
      indexes.set(probe.text, index);
      probes.push(probe);
      mentions.push([]);
    }
    return index;
  };

  for (const d of definitions) {
    yield;
    const { value, faults: found } = parseCondition(d.detect);
    if (value === undefined) {
      for (const f of found) faults.push(makeFault(d.code, { line: 1, column: f.at + 1 }, f.code, f.details));
      continue;
    }
    const position = compiled.length;
    const condition = mapTerms(value, indexOf);
    let titleOnly = true;
    const proof = proofs.get(d.code) ?? new Set();
    proofs.set(d.code, proof);
    eachTerm(condition, (index, negated) => {
      if (probes[index]?.kind !== "title") titleOnly = false;
      else if (!negated) proof.add(index);
      const list = mentions[index];
      if (list !== undefined && list[list.length - 1] !== position) list.push(position);
    });
    if (holds(condition, () => false)) unconditional.push(position);
    const definition = { code: d.code, version: d.version, condition, titleOnly, text: printCondition(value) };
    compiled.push(definition);
    if (!byCode.has(d.code)) byCode.set(d.code, definition);
  }

  const matchTitle = createTitleMatcher(probes);

  /** Positions of the definitions that hold, ascending. */
  function holdingDefinitions(holding: HoldingProbes): readonly number[] {
    const has = holding instanceof Uint32Array ? bitTest(holding) : (index: number) => holding.has(index);
    const candidates = new Set(unconditional);
    const add = (index: number): void => {
      for (const position of mentions[index] ?? []) candidates.add(position);
    };
    if (holding instanceof Uint32Array) eachBit(holding, add);
    else for (const index of holding) add(index);
    const result: number[] = [];
    for (const position of candidates) {
      const definition = compiled[position];
      if (definition !== undefined && holds(definition.condition, has)) result.push(position);
    }
    return result.sort((a, b) => a - b);
  }

  return {
    probes,
    codes: [...byCode.keys()],
    faults,
    probeIndex: (text) => indexes.get(text),
    matchTitle,
    recognize(holding) {
      const codes = new Set<string>();
      for (const position of holdingDefinitions(holding)) codes.add(compiled[position]?.code ?? "");
      return [...codes];
    },
    titleProbesOf: (code) => proofs.get(code) ?? noProbes,
    titleAnswerable: (code) => byCode.get(code)?.titleOnly ?? false,
    definitionDigest(code) {
      const d = byCode.get(code);
      return d && sha256Hex(canonicalJson({ code, condition: d.text, version: d.version ?? null }));
    },
    recognizeInventory({ titles, hits = [] }) {
      const satisfiedBy = new Map<number, Title[]>();
      for (const title of titles) {
        for (const index of matchTitle(title)) {
          const others = satisfiedBy.get(index);
          if (others === undefined) satisfiedBy.set(index, [title]);
          else others.push(title);
        }
      }
      const found = new Map<number, Found>();
      for (const [index, candidates] of satisfiedBy) found.set(index, { title: newest(candidates) });
      for (const { probe, found: fields } of hits) {
        const index = indexes.get(probe);
        if (index === undefined || probes[index]?.kind === "title") continue;
        const other = found.get(index);
        if (other === undefined || canonicalJson(fields) < canonicalJson(other.fields)) found.set(index, { fields });
      }
      const holding = new Set(found.keys());
      const codes = new Map<string, RecognizedCode>();
      for (const position of holdingDefinitions(holding)) {
        const definition = compiled[position];
        if (definition !== undefined && !codes.has(definition.code)) {
          codes.set(definition.code, describe(definition, holding, found, probes));
        }
      }
      return [...codes.values()];
    },
  };
}

interface Found {
  readonly title?: Title;
  readonly fields?: Readonly<Record<string, string>>;
}

function describe(
  definition: Definition,
  holding: ReadonlySet<number>,
  found: ReadonlyMap<number, Found>,
  probes: readonly Probe[],
): RecognizedCode {
  const evidence: Evidence[] = [];
  let best: Title | undefined;
  let fileVersion: string | undefined;
  for (const index of new Set(holdingTerms(definition.condition, (i) => holding.has(i)))) {
    const probe = probes[index];
    const what = found.get(index);
    if (probe === undefined || what === undefined) continue;
    if (what.title !== undefined) best = best === undefined ? what.title : newer(best, what.title);
    fileVersion ??= what.fields?.["version"];
    if (evidence.length < evidenceLimit) {
      evidence.push({
        probe: probe.text,
        found: what.title === undefined ? { ...what.fields } : titleFields(what.title),
      });
    }
  }
  const version = definition.version ?? (best?.version || fileVersion);
  return { code: definition.code, ...(version === undefined ? {} : { version }), evidence };
}

/**
 * The newest title speaks for a probe that several satisfy. They are put into an order that has nothing to do with the
 * scan's first, because not every manager's version order is transitive.
 */
function newest(titles: readonly Title[]): Title {
  const [first, ...rest] =
    titles.length === 1
      ? titles
      : titles
          .map((t) => [canonicalJson(t), t] as const)
          .sort(byKey)
          .map(([, t]) => t);
  return rest.reduce((best, title) => newer(best, title), first as Title);
}

function byKey(a: readonly [string, Title], b: readonly [string, Title]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

/** `title` where it is a newer version from the same source, else `best`. */
function newer(best: Title, title: Title): Title {
  return best.source === title.source && compareVersions(title.source, title.version, best.version) > 0 ? title : best;
}

function titleFields(title: Title): Record<string, string> {
  const fields: Record<string, string> = { name: title.name };
  if (title.version !== "") fields["version"] = title.version;
  if (title.publisher !== undefined) fields["publisher"] = title.publisher;
  fields["source"] = title.source;
  if (title.arch !== undefined) fields["arch"] = title.arch;
  if (title.identifier !== undefined) fields["identifier"] = title.identifier;
  if (title.path !== undefined) fields["path"] = title.path;
  return fields;
}

function bitTest(bits: Uint32Array): (index: number) => boolean {
  return (index) => (((bits[index >>> 5] ?? 0) >>> (index & 31)) & 1) === 1;
}

function eachBit(bits: Uint32Array, visit: (index: number) => void): void {
  for (let word = 0; word < bits.length; word++) {
    for (let rest = bits[word] ?? 0; rest !== 0; rest &= rest - 1) visit(word * 32 + (31 - Math.clz32(rest & -rest)));
  }
}
