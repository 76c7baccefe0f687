/**
 * Purpose: keeps what is derived from stored facts true to the policy in force. When a new dictionary is generated, a new deriver takes over for
 * everything that arrives from then on, and every stored device is derived again in slices; each device remembers the generation its licences were derived
 * with, so a crash in between only means going on where the marks end. The same happens on the day a metric rule comes into force.
 * Invariants: a deriver's generation is that of its policy plus the revision - both only rise, so whoever works with an older one of either leaves a
 * lower mark. `revision` counts what besides a policy changed the meaning of all facts.
 */
import { createMetricBook } from "@daicho/licensing";
import type { Clock, Log, Timer } from "@daicho/kernel";
import type { Cause } from "@daicho/licensing";
import { dictionarySteps } from "@daicho/policy";
import type { Metric } from "@daicho/protocol";
import type { Database, Trx } from "../../db/database.ts";
import type { Servers } from "../../db/servers.ts";
import type { Events } from "../../events.ts";
import type { CurrentPolicy, DeviceDirectory } from "../../ports.ts";
import { breathe, createPace, inSteps } from "../../slices.ts";
import { loadClassifier, type Decision } from "../licenses/classification/index.ts";
import type { Repository } from "../licenses/repository/index.ts";
import { createDeriver, type DerivedLicense, type Deriver } from "./deriver.ts";
import { decideAll, deriveAll, type DeviceLicenses, type StoredState } from "./derive.ts";
import { headStore, lockHeads } from "./head-store.ts";
import { rederive, type FactDifference } from "./rederive.ts";
import { raiseRevision, reachMetricDay, readRevision } from "./revision.ts";
import type { TitleIndex } from "./title-index.ts";
import type { Titles } from "./titles.ts";

export interface Derivation {
  current(): Deriver;
  /** Whether devices remain whose licences are of an older policy. */
  readonly underWay: boolean;
  /** Resolves when every device is derived by the policy in force; at once, where that is so already. */
  settled(): Promise<void>;
  /** Takes over the policy in force now and derives all devices again; resolves when all are done. */
  refresh(): Promise<void>;
  /** What was bought has changed: metrics that the policy leaves open follow it, and with them all counts, in the caller's transaction. */
  bought(trx: Trx): Promise<void>;
  /** Whether anything decides about classes of installations, so that who has a device can matter to them. */
  classifies(trx: Trx): Promise<boolean>;
  /**
   * Derives devices now, in the caller's transaction, by what it has written about their installations. Call with their heads locked. Devices that
   * never reported are left out.
   */
  deriveNow(trx: Trx, devices: readonly number[], cause: Cause): Promise<readonly DeviceLicenses[]>;
  /** What a device uses by its facts, and what decided about each installation. */
  decisionsOf(trx: Trx, device: number): Promise<readonly (DerivedLicense & { readonly decision: Decision })[]>;
  /** What does not follow from the facts that devices reported, under the policy in force; for reconcile. */
  rederive(): AsyncGenerator<FactDifference>;
  stop(): Promise<void>;
}

const lookedThrough = 20_000;
/** What a server that was killed left to be derived is found within this. */
const lookMs = 600_000;

/** Mark of a device whose licences must be derived again although the policy is the same. */
export const revivedGeneration = -1;

export async function createDerivation(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  readonly titles: Titles;
  readonly index: Pick<TitleIndex, "watch" | "sets">;
  readonly policy: () => CurrentPolicy;
  /** Takes over what another server has published. */
  readonly readPolicy: () => Promise<void>;
  readonly servers: Pick<Servers, "onDuty" | "hear">;
  /** Codes the company leaves out of its selection. */
  readonly deselected: () => Promise<ReadonlySet<string>>;
  readonly devices: Pick<DeviceDirectory, "idsOf" | "disposedBetween">;
  readonly repository: Pick<Repository, "record" | "syncLicenses" | "openLicenses">;
}): Promise<Derivation> {
  const { db, titles, events, log, clock, servers } = deps;
  /** What the deriver in force was made of. */
  let policyOf: Parameters<typeof createDeriver>[0] = {
    generation: 0,
    dictionary: undefined,
    licensePolicy: undefined,
    at: 0,
    titleTable: titles.table,
  };
  let current = createDeriver(policyOf);
  let next: Deriver | undefined;
  let inForce: ReadonlyMap<string, Metric> = new Map();
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let nextDay: Timer | undefined;
  let nextLook: Timer | undefined;
  let seenRevision = -1;
  const offTitles = titles.onLearn((learnt) => {
    current.learn(learnt);
    next?.learn(learnt);
  });

  const adopt = async (): Promise<void> => {
    await deps.readPolicy();
    const policy = deps.policy();
    const at = clock.now();
    const rules = createMetricBook(policy.licensePolicy?.metrics ?? []);
    await reachMetricDay(db, rules.lastChange(at));
    nextDay?.cancel();
    const day = rules.nextChange(at);
    if (day !== undefined && !stopped) nextDay = clock.after(day - at, () => void derivation.refresh());
    // One snapshot: what decides about installations is that of the revision.
    const { revision, classifier } = await db.snapshot(async (trx) => ({
      revision: await readRevision(trx),
      classifier: await loadClassifier(db, trx),
    }));
    seenRevision = revision;
    const generation = policy.generation + revision;
    if (generation === current.generation) return;
    const recognizer = await inSteps(dictionarySteps(policy.dictionary?.software ?? []));
    const nextOf = { ...policy, generation, at, classifier, titleTable: titles.table, recognizer };
    await breathe();
    next = createDeriver(nextOf);
    await breathe();
    for await (const slice of titles.each()) {
      next.learn(slice);
      await breathe();
    }
    const infos = next.licenses;
    const deselected = await deps.deselected();
    inForce = await db.transaction((trx) => deps.repository.syncLicenses(trx, infos, deselected));
    next.setMetrics(inForce);
    current = next;
    policyOf = nextOf;
    next = undefined;
  };

  /** By what the transaction sees of what decides about installations, its own writes included. */
  const deriverWithin = async (trx: Trx): Promise<Deriver> => ({
    ...current,
    classifier: await loadClassifier(db, trx),
  });
  const statesOf = async (trx: Trx, devices: readonly number[]): Promise<StoredState[]> => {
    const states = [...(await headStore.states(trx, devices)).values()];
    await titles.know(trx, states.map((state) => state.titles)); // prettier-ignore
    return states.map((state) => ({ state }));
  };

  const deriveStale = async (): Promise<number> => {
    const deriver = current;
    let count = 0;
    const last = await headStore.lastDevice(db.kysely);
    const pace = createPace({ first: 50, least: 10, most: 250, milliseconds: 16 });
    for (let after = 0; after < last && !stopped && deriver === current;) {
      // Most often nothing is stale: what is looked through in one go is bounded, too.
      const upTo = after + lookedThrough;
      const rows = await headStore.stale(db.kysely, deriver.generation, { after, upTo, limit: pace.size });
      if (rows.length === 0) {
        after = upTo;
        await breathe();
        continue;
      }
      pace.begin();
      const stale = rows.map((row) => row.device);
      const revived = new Set(rows.flatMap((row) => (row.generation === revivedGeneration ? [row.device] : [])));
      const { changed } = await db.transaction(async (trx) => {
        await lockHeads(db, trx, stale);
        const states = await statesOf(trx, stale);
        const at = clock.now();
        let changed = false;
        // A device that came back into use is derived again for that reason, all others because the policy changed.
        for (const cause of ["reassigned", "policy"] as const) {
          const theirs = states.filter(({ state }) => revived.has(state.device) === (cause === "reassigned"));
          const changes = await deriveAll(trx, deriver, theirs);
          if (changes.length > 0) changed = (await deps.repository.record(trx, changes, at, cause)).changed || changed;
        }
        await headStore.setGeneration(db, trx, stale, deriver.generation);
        return { changed };
      });
      if (changed) events.emit("positions-changed", {});
      pace.end();
      count += stale.length;
      after = stale[stale.length - 1] ?? after;
      await breathe();
    }
    return count;
  };

  const refresh = async (): Promise<void> => {
    do {
      again = false;
      await adopt();
      // A commit that began under the old policy may end behind the slice it belongs to: go round until nothing is left.
      while ((await deriveStale()) > 0 && !stopped);
    } while (again && !stopped);
  };

  const derivation: Derivation = {
    current: () => current,
    async bought(trx) {
      const { licenses } = current;
      if (licenses.every(({ metric }) => metric !== undefined)) return;
      const metrics = await deps.repository.syncLicenses(trx, licenses, await deps.deselected());
      const byUnits = ({ code }: { readonly code: string }): boolean =>
        [metrics.get(code), inForce.get(code)].some((metric) => metric === "core" || metric === "processor");
      if (!licenses.some((info) => byUnits(info) && metrics.get(info.code) !== inForce.get(info.code))) return;
      // How many units a device counts as depends on its hardware: every device is derived again.
      await raiseRevision(db, trx);
      clock.after(100, () => void derivation.refresh());
    },
    get underWay() {
      return running !== undefined;
    },
    async settled() {
      // What another server has published may not have been heard of yet.
      await deps.readPolicy();
      const generation = deps.policy().generation + (await readRevision(db.kysely));
      if (running !== undefined || generation !== current.generation) await derivation.refresh();
    },
    refresh() {
      again = true;
      running ??= refresh()
        .then(() => {
          events.emit("positions-changed", {});
          events.emit("status-changed", {});
        })
        .catch((error: unknown) => {
          log.error("derivation-failed", { reason: error instanceof Error ? error.message : "unknown" });
          if (!stopped) clock.after(5000, () => void derivation.refresh());
        })
        .finally(() => {
          running = undefined;
        });
      return running;
    },
    classifies: async (trx) => (await loadClassifier(db, trx)) !== undefined,
    async deriveNow(trx, devices, cause) {
      const deriver = await deriverWithin(trx);
      const derived = await deriveAll(trx, deriver, await statesOf(trx, devices));
      // Another server may have derived them under a newer policy than this one knows: then it is done again.
      await headStore.lowerGeneration(db, trx, devices, deriver.generation);
      await deps.repository.record(trx, derived, clock.now(), cause);
      return derived;
    },
    async decisionsOf(trx, device) {
      const [decided] = await decideAll(trx, await deriverWithin(trx), await statesOf(trx, [device]));
      return decided?.licenses ?? [];
    },
    async *rederive() {
      // What is still to be derived is late, not wrong.
      await derivation.refresh();
      const newDeriver = (): Deriver => {
        const deriver = createDeriver({ ...policyOf, recognizer: current.recognizer, matcher: current.matcher });
        deriver.setMetrics(inForce);
        return deriver;
      };
      yield* rederive({ ...deps, generation: () => current.generation, newDeriver });
    },
    async stop() {
      stopped = true;
      nextDay?.cancel();
      nextLook?.cancel();
      for (const end of off) end();
      offTitles();
      await running;
    },
  };
  // What another server has decided; and once in a while what one that is gone has left behind. SQLite belongs to one process.
  const look = (): void => {
    nextLook = clock.after(lookMs, () => {
      if (servers.onDuty) void derivation.refresh();
      if (!stopped) look();
    });
  };
  if (db.dialect === "postgres") look();
  // The policy in force must be known before the first report is derived; the devices can follow while serving.
  // Only then are changes heeded: one at a time adopts a policy. What has changed meanwhile the first refresh finds.
  await adopt();
  const heard = async (): Promise<void> => {
    if ((await readRevision(db.kysely)) !== seenRevision) await derivation.refresh();
  };
  const off = [
    events.on("dictionary-changed", () => void derivation.refresh()),
    servers.hear("revision", () => void heard().catch(() => derivation.refresh())),
    servers.hear("missed", () => void derivation.refresh()),
  ];
  return derivation;
}
