/**
 * Purpose: keeps what is derived from stored facts true to the policy in force. When a new dictionary is generated, a new deriver takes over for
 * everything that arrives from then on, and every stored device is derived again in slices; each device remembers the generation its licences were derived
 * with, so a crash in between only means going on where the marks end. The same happens on the day a metric rule comes into force.
 * Invariants: a deriver's generation is that of its policy plus the revision - both only rise, so whoever works with an older one of either leaves a
 * lower mark. `revision` counts what besides a policy changed the meaning of all facts.
 */
import { createMetricBook } from "@daicho/licensing";
import type { Clock, Log, Timer } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { Events } from "../../events.ts";
import type { CurrentPolicy, DeviceDirectory } from "../../ports.ts";
import type { Repository } from "../licenses/repository/index.ts";
import { createDeriver, type Deriver } from "./deriver.ts";
import { deriveLicenses } from "./commit.ts";
import { headStore, lockHeads } from "./head-store.ts";
import { reachMetricDay, readRevision } from "./revision.ts";
import type { Titles } from "./titles.ts";

export interface Derivation {
  current(): Deriver;
  /** Whether devices remain whose licences are of an older policy. */
  readonly underWay: boolean;
  /** Takes over the policy in force now and derives all devices again; resolves when all are done. */
  refresh(): Promise<void>;
  /** Devices whose open interval is not what their facts yield under the policy in force, for reconcile. */
  rederive(): AsyncGenerator<{ device: string; license: string; stored: number; recomputed: number }>;
  stop(): Promise<void>;
}

const sliceDevices = 250;

/** Mark of a device whose licences must be derived again although the policy is the same. */
export const revivedGeneration = -1;

export async function createDerivation(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  readonly titles: Titles;
  readonly policy: () => CurrentPolicy;
  /** Codes the company leaves out of its selection. */
  readonly deselected: () => Promise<ReadonlySet<string>>;
  readonly devices: Pick<DeviceDirectory, "idsOf" | "disposedOf">;
  readonly repository: Pick<Repository, "record" | "syncLicenses" | "openLicenses">;
}): Promise<Derivation> {
  const { db, titles, events, log, clock } = deps;
  let current = createDeriver({ generation: 0, dictionary: undefined, licensePolicy: undefined, at: 0 });
  let next: Deriver | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let nextDay: Timer | undefined;
  titles.onLearn((learnt) => {
    current.learn(learnt);
    next?.learn(learnt);
  });

  const adopt = async (): Promise<void> => {
    const policy = deps.policy();
    const at = clock.now();
    const rules = createMetricBook(policy.licensePolicy?.metrics ?? []);
    await reachMetricDay(db, rules.lastChange(at));
    nextDay?.cancel();
    const day = rules.nextChange(at);
    if (day !== undefined && !stopped) nextDay = clock.after(day - at, () => void derivation.refresh());
    const generation = policy.generation + (await readRevision(db.kysely));
    if (generation === current.generation) return;
    next = createDeriver({ ...policy, generation, at });
    for await (const slice of titles.each(2000)) {
      next.learn(slice);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const infos = next.licenses;
    const deselected = await deps.deselected();
    next.setMetrics(await db.transaction((trx) => deps.repository.syncLicenses(trx, infos, deselected)));
    current = next;
    next = undefined;
  };

  const deriveStale = async (): Promise<number> => {
    const deriver = current;
    let count = 0;
    for (let after = 0; !stopped && deriver === current;) {
      const rows = await headStore.stale(db.kysely, deriver.generation, after, sliceDevices);
      if (rows.length === 0) break;
      const stale = rows.map((row) => row.device);
      const revived = new Set(rows.flatMap((row) => (row.generation === revivedGeneration ? [row.device] : [])));
      const { changed } = await db.transaction(async (trx) => {
        await lockHeads(db, trx, stale);
        const states = await headStore.states(trx, stale);
        const at = clock.now();
        let changed = false;
        // A device that came back into use is derived again for that reason, all others because the policy changed.
        for (const cause of ["reassigned", "policy"] as const) {
          const changes = [...states.values()]
            .filter((state) => revived.has(state.device) === (cause === "reassigned"))
            .map((state) => ({ device: state.device, licenses: deriveLicenses(deriver, state) }));
          if (changes.length > 0) changed = (await deps.repository.record(trx, changes, at, cause)).changed || changed;
        }
        await headStore.setGeneration(db, trx, stale, deriver.generation);
        return { changed };
      });
      if (changed) events.emit("positions-changed", {});
      count += stale.length;
      after = stale[stale.length - 1] ?? after;
      await new Promise((resolve) => setImmediate(resolve));
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
    get underWay() {
      return running !== undefined;
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
    async *rederive() {
      // What is still to be derived is late, not wrong.
      await running;
      for (let after = 0; ;) {
        const deriver = current;
        const { last, differences } = await db.snapshot(async (trx) => {
          const states = await headStore.statesAfter(trx, after, sliceDevices);
          const ids = states.map((state) => state.device);
          const stored = await deps.repository.openLicenses(trx, ids);
          const disposed = await deps.devices.disposedOf(trx, ids);
          const differences = states.flatMap((state) =>
            compareLicenses(
              state.device,
              stored.get(state.device) ?? [],
              disposed.has(state.device) ? [] : deriveLicenses(deriver, state),
            ),
          );
          const names = await deps.devices.idsOf(trx, [...new Set(differences.map((d) => d.device))]);
          return {
            last: ids.at(-1),
            differences: differences.map((d) => ({ ...d, device: names.get(d.device) ?? String(d.device) })),
          };
        });
        yield* differences;
        if (last === undefined) return;
        after = last;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async stop() {
      stopped = true;
      nextDay?.cancel();
      off();
      await running;
    },
  };
  const off = events.on("dictionary-changed", () => void derivation.refresh());
  // The policy in force must be known before the first report is derived; the devices can follow while serving.
  await adopt();
  return derivation;
}

function compareLicenses(
  device: number,
  stored: readonly { license: string; count: number }[],
  derived: readonly { license: string; count: number }[],
): { device: number; license: string; stored: number; recomputed: number }[] {
  const counts = new Map(stored.map((s) => [s.license, { stored: s.count, recomputed: 0 }]));
  for (const { license, count } of derived)
    counts.set(license, { stored: counts.get(license)?.stored ?? 0, recomputed: count });
  return [...counts].filter(([, c]) => c.stored !== c.recomputed).map(([license, c]) => ({ device, license, ...c }));
}
