/**
 * Purpose: what a policy edit would change, before it is published: both policies are asked about every stored device, and nothing is written.
 * How it stays quick: devices that look the same to both policies are one case, evaluated once (cases.ts).
 * Invariants: before and after are derived from the same facts by the same function that reports are (deriver.ts), so "before" is what reconcile
 * would find; a title that is learnt meanwhile is learnt by both. Disposed devices use nothing. One at a time; the loop is given back between slices.
 */
import { dictionarySteps } from "@daicho/policy";
import type { Dictionary, LicensePolicy } from "@daicho/protocol";
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { DeviceDirectory } from "../../ports.ts";
import { breathe, createPace, eachPolitely, inSteps } from "../../slices.ts";
import { createCases, type CaseFacts } from "./cases.ts";
import { createDeriver, type Deriver } from "./deriver.ts";
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

const most = 1000;

export function createWhatIf(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly titles: Titles;
  readonly deriver: () => Deriver;
  readonly devices: Pick<DeviceDirectory, "disposedBetween">;
}): AskWhatIf {
  let last: Promise<unknown> = Promise.resolve();
  return (candidate) => {
    const answer = last.then(() => ask(deps, candidate));
    last = answer.catch(() => undefined);
    return answer;
  };
}

/** What a case comes to under both policies, and how many devices do. */
interface Outcome {
  readonly held: readonly string[];
  readonly next: readonly string[];
  devices: number;
}

async function ask(
  { db, clock, titles, deriver, devices }: Parameters<typeof createWhatIf>[0],
  candidate: Parameters<AskWhatIf>[0],
): Promise<WhatIf> {
  const before = deriver();
  const recognizer = await inSteps(dictionarySteps(candidate.dictionary.software));
  const after = createDeriver({ ...candidate, generation: 0, at: clock.now(), titleTable: titles.table, recognizer });
  const off = titles.onLearn((learnt) => {
    before.learn(learnt);
    after.learn(learnt);
  });
  try {
    for await (const learnt of titles.each()) {
      after.learn(learnt);
      await breathe();
    }
    const outcomes = await outcomesOf(db, devices, before, after);
    const names = new Map([...before.licenses, ...after.licenses].map(({ code, name }) => [code, name]));
    return {
      devices: outcomes.reduce((sum, outcome) => sum + outcome.devices, 0),
      ...differencesOf(outcomes, (code) => names.get(code) ?? code),
    };
  } finally {
    off();
  }
}

function differencesOf(
  outcomes: readonly Outcome[],
  nameOf: (license: string) => string,
): Pick<WhatIf, "changed" | "licenses"> {
  const licenses = new Map<string, { before: number; after: number; gained: number; lost: number }>();
  const lineOf = (license: string) => {
    let line = licenses.get(license);
    if (line === undefined) licenses.set(license, (line = { before: 0, after: 0, gained: 0, lost: 0 }));
    return line;
  };
  let changed = 0;
  for (const { held, next, devices } of outcomes) {
    const lost = held.filter((license) => !next.includes(license));
    const gained = next.filter((license) => !held.includes(license));
    for (const license of held) lineOf(license).before += devices;
    for (const license of next) lineOf(license).after += devices;
    for (const license of lost) lineOf(license).lost += devices;
    for (const license of gained) lineOf(license).gained += devices;
    if (lost.length + gained.length > 0) changed += devices;
  }
  return {
    changed,
    licenses: [...licenses]
      .filter(([, line]) => line.gained + line.lost > 0)
      .map(([license, line]) => ({ license, name: nameOf(license), ...line }))
      .sort((a, b) => (a.license < b.license ? -1 : 1)),
  };
}

async function outcomesOf(
  db: Database,
  directory: Pick<DeviceDirectory, "disposedBetween">,
  before: Deriver,
  after: Deriver,
): Promise<readonly Outcome[]> {
  const outcomes = new Map<string, Outcome>();
  const outcomeOf = createCases(
    (title) => before.tells(title) || after.tells(title),
    (facts: CaseFacts): Outcome => {
      const held = before.licenseCodes(facts);
      const next = after.licenseCodes(facts);
      const key = `${held.join("\n")}\n\n${next.join("\n")}`;
      let outcome = outcomes.get(key);
      if (outcome === undefined) outcomes.set(key, (outcome = { held, next, devices: 0 }));
      return outcome;
    },
  );
  const pace = createPace({ first: 100, least: 50, most });
  for (let from = 0; ;) {
    pace.begin();
    const { rows, disposed } = await db.snapshot(async (trx) => {
      const rows = await stateStore.factsAfter(trx, from, pace.size);
      return { rows, disposed: await directory.disposedBetween(trx, from, rows.at(-1)?.device ?? from) };
    });
    pace.end();
    const last = rows.at(-1);
    if (last === undefined) return [...outcomes.values()];
    from = last.device;
    await eachPolitely(rows, (row) => {
      if (!disposed.has(row.device)) outcomeOf(row).devices++;
    });
    await breathe();
  }
}
