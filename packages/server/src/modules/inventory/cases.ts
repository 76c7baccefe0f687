/**
 * Purpose: what a policy makes of very many devices, worked out once per case. Only a few titles tell a policy anything; devices that have the same of
 * these, the same machine-probe hits and the same asserted codes are one case, and a device costs one walk over the bytes of its row.
 * Invariant: a case is nothing but remembered work: forgetting it at any moment changes no answer.
 */
import { unpackProbes, type ProbeHit } from "@daicho/protocol";
import { createTellingReader, type PackedTitles } from "./bases.ts";
import { readAsserted } from "./derive.ts";
import type { DeviceFactsInput } from "./deriver.ts";

export type CaseFacts = Pick<DeviceFactsInput, "titles" | "hits" | "asserted">;

/** A device's row, its base in memory. */
export type PackedFacts = PackedTitles & { readonly probes: Buffer; readonly asserted: string | null };

const most = 50_000;

/** Answers for each row what `workOut` makes of its facts. */
export function createCases<T extends object>(
  tells: (title: number) => boolean,
  workOut: (facts: CaseFacts) => T,
): (row: PackedFacts) => T {
  const known = new Map<string, T>();
  const tellingOf = createTellingReader(tells);
  const hitsOf = rememberHits();
  return (row) => {
    const telling = tellingOf(row);
    const { hits, key: hitKey } = hitsOf(row.probes);
    const key = `${telling.key}|${hitKey}|${row.asserted ?? ""}`;
    let found = known.get(key);
    if (found === undefined) {
      if (known.size >= most) known.clear();
      found = workOut({ titles: telling.titles(), hits, asserted: readAsserted(row.asserted) });
      known.set(key, found);
    }
    return found;
  };
}

/** Hits by their bytes: most devices have none, and many the same. What was found decides nothing here, only which probes hold. */
function rememberHits(): (bytes: Buffer) => { readonly hits: readonly ProbeHit[]; readonly key: string } {
  const none = { hits: [], key: "" };
  const seen = new Map<string, { readonly hits: readonly ProbeHit[]; readonly key: string }>();
  return (bytes) => {
    if (bytes.length === 0) return none;
    const text = bytes.toString("latin1");
    let known = seen.get(text);
    if (known === undefined) {
      const probes = [...new Set(unpackProbes(bytes).map((hit) => hit.probe))].sort();
      known = { hits: probes.map((probe) => ({ probe, found: {} })), key: JSON.stringify(probes) };
      if (seen.size >= 20_000) seen.clear();
      seen.set(text, known);
    }
    return known;
  };
}
