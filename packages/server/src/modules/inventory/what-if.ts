/**
 * Purpose: what a policy edit would change, before it is published: both policies are asked about every stored device, and nothing is written.
 * How it stays quick: only a few titles tell anything to either policy. Devices that have the same of these - and the same machine-probe hits and
 * asserted codes - are one case; a case is evaluated once, a device costs one walk over the bytes of its row.
 * Invariants: before and after are derived from the same facts by the same function that reports are (deriver.ts), so "before" is what reconcile
 * would find. Disposed devices use nothing. One at a time; the loop is given back between slices.
 */
import { unpackProbes, type Dictionary, type LicensePolicy, type ProbeHit } from "@daicho/protocol";
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { DeviceDirectory } from "../../ports.ts";
import { breathe, eachPolitely } from "../../slices.ts";
import { createTellingReader } from "./bases.ts";
import { readAsserted } from "./derive.ts";
import { createDeriver, type Deriver, type DeviceFactsInput } from "./deriver.ts";
import { stateStore } from "./state-store.ts";
import type { Titles } from "./titles.ts";

export interface WhatIfLicense {
  readonly license: string;
  readonly name: string;
  /** Devices that use it under the policy in force, and under the other. */
  readonly before: number;
  readonly after: number;
  /** Devices that would begin to use it, and that would cease to. */
  readonly gained: number;
  readonly lost: number;
}

export interface WhatIf {
  readonly devices: number;
  /** Devices whose licences would change. */
  readonly changed: number;
  /** Licences that would change, by code. */
  readonly licenses: readonly WhatIfLicense[];
}

export type AskWhatIf = (candidate: {
  readonly dictionary: Dictionary;
  readonly licensePolicy: LicensePolicy;
}) => Promise<WhatIf>;

const slice = 1000;

export function createWhatIf(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly titles: Titles;
  readonly deriver: () => Deriver;
  readonly devices: Pick<DeviceDirectory, "disposedOf">;
}): AskWhatIf {
  let last: Promise<unknown> = Promise.resolve();
  return (candidate) => {
    const answer = last.then(() => ask(deps, candidate));
    last = answer.catch(() => undefined);
    return answer;
  };
}

interface Case {
  readonly facts: Pick<DeviceFactsInput, "titles" | "hits" | "asserted">;
  devices: number;
}

async function ask(
  { db, clock, titles, deriver, devices }: Parameters<typeof createWhatIf>[0],
  candidate: Parameters<AskWhatIf>[0],
): Promise<WhatIf> {
  const before = deriver();
  const after = createDeriver({ ...candidate, generation: 0, at: clock.now(), titleTable: titles.table });
  await breathe();
  // Titles that are learnt from here on tell nothing to either: both sides see the same ones.
  let telling = new Uint8Array(0);
  for await (const learnt of titles.each(1000)) {
    after.learn(learnt);
    const top = learnt.at(-1)?.id ?? 0;
    if (top >= telling.length) {
      const wider = new Uint8Array(Math.max(top + 1, telling.length * 2));
      wider.set(telling);
      telling = wider;
    }
    for (const { id } of learnt) if (before.tells(id) || after.tells(id)) telling[id] = 1;
    await breathe();
  }
  const { cases, count } = await casesOf(db, devices, telling);

  const licenses = new Map<string, { before: number; after: number; gained: number; lost: number }>();
  const lineOf = (license: string) => {
    let line = licenses.get(license);
    if (line === undefined) licenses.set(license, (line = { before: 0, after: 0, gained: 0, lost: 0 }));
    return line;
  };
  let changed = 0;
  await eachPolitely(cases.values(), ({ facts, devices: n }) => {
    const held = new Set(before.licenseCodes(facts));
    const next = new Set(after.licenseCodes(facts));
    let differs = false;
    for (const license of held) {
      const line = lineOf(license);
      line.before += n;
      if (next.has(license)) continue;
      line.lost += n;
      differs = true;
    }
    for (const license of next) {
      const line = lineOf(license);
      line.after += n;
      if (held.has(license)) continue;
      line.gained += n;
      differs = true;
    }
    if (differs) changed += n;
  });
  const names = new Map([...before.licenses, ...after.licenses].map(({ code, name }) => [code, name]));
  return {
    devices: count,
    changed,
    licenses: [...licenses]
      .filter(([, line]) => line.gained + line.lost > 0)
      .map(([license, line]) => ({ license, name: names.get(license) ?? license, ...line }))
      .sort((a, b) => (a.license < b.license ? -1 : 1)),
  };
}

async function casesOf(
  db: Database,
  directory: Pick<DeviceDirectory, "disposedOf">,
  telling: Uint8Array,
): Promise<{ cases: ReadonlyMap<string, Case>; count: number }> {
  const cases = new Map<string, Case>();
  const tellingOf = createTellingReader(telling);
  const hitsOf = rememberHits();
  let count = 0;
  for (let after = 0; ;) {
    const { rows, disposed } = await db.snapshot(async (trx) => {
      const rows = await stateStore.factsAfter(trx, after, slice);
      return { rows, disposed: await directory.disposedOf(trx, rows.map((row) => row.device)) }; // prettier-ignore
    });
    const last = rows.at(-1);
    if (last === undefined) return { cases, count };
    after = last.device;
    await eachPolitely(rows, (row) => {
      if (disposed.has(row.device)) return;
      count++;
      const titles = tellingOf(row);
      const { hits, key: hitKey } = hitsOf(row.probes);
      const key = `${titles.join()}|${hitKey}|${row.asserted ?? ""}`;
      const known = cases.get(key);
      if (known !== undefined) known.devices++;
      else
        cases.set(key, {
          facts: { titles: Uint32Array.from(titles), hits, asserted: readAsserted(row.asserted) },
          devices: 1,
        });
    });
    await breathe();
  }
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
