/**
 * Purpose: keeps what is derived from stored facts true to the policy in force. When a new dictionary is generated, a new deriver takes over for
 * everything that arrives from then on, and every stored device is derived again in slices; each device remembers the generation its licences were derived
 * with, so a crash in between only means going on where the marks end.
 */
import type { Clock, Log } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { Events } from "../../events.ts";
import type { CurrentPolicy, UsageRepository } from "../../ports.ts";
import type { LicenseInfo } from "./deriver.ts";
import { createDeriver, type Deriver } from "./deriver.ts";
import { deriveLicenses } from "./commit.ts";
import { headStore, lockHeads } from "./head-store.ts";
import type { Titles } from "./titles.ts";

export interface Derivation {
  current(): Deriver;
  /** Whether devices remain whose licences are of an older policy. */
  readonly underWay: boolean;
  /** Takes over the policy in force now and derives all devices again; resolves when all are done. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

const sliceDevices = 250;

export async function createDerivation(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  readonly titles: Titles;
  readonly policy: () => CurrentPolicy;
  readonly repository: UsageRepository & {
    syncLicenses(trx: import("../../db/database.ts").Trx, infos: readonly LicenseInfo[]): Promise<void>;
  };
}): Promise<Derivation> {
  const { db, titles, events, log, clock } = deps;
  let current = createDeriver({ generation: 0, dictionary: undefined, licensePolicy: undefined });
  let next: Deriver | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  titles.onLearn((learnt) => {
    current.learn(learnt);
    next?.learn(learnt);
  });

  const adopt = async (): Promise<void> => {
    const policy = deps.policy();
    if (policy.generation === current.generation) return;
    next = createDeriver(policy);
    for await (const slice of titles.each(2000)) {
      next.learn(slice);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const infos = next.licenses;
    await db.transaction((trx) => deps.repository.syncLicenses(trx, infos));
    current = next;
    next = undefined;
  };

  const deriveStale = async (): Promise<number> => {
    const deriver = current;
    let count = 0;
    for (let after = 0; !stopped && deriver === current;) {
      const stale = (await headStore.stale(db.kysely, deriver.generation, after, sliceDevices)).map(
        (row) => row.device,
      );
      if (stale.length === 0) break;
      const { changed } = await db.transaction(async (trx) => {
        await lockHeads(db, trx, stale);
        const states = await headStore.states(trx, stale);
        const changes = [...states.values()].map((state) => ({
          device: state.device,
          licenses: deriveLicenses(deriver, state),
        }));
        const result = await deps.repository.record(trx, changes, clock.now());
        await headStore.setGeneration(db, trx, stale, deriver.generation);
        return result;
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
    async stop() {
      stopped = true;
      off();
      await running;
    },
  };
  const off = events.on("dictionary-changed", () => void derivation.refresh());
  // The policy in force must be known before the first report is derived; the devices can follow while serving.
  await adopt();
  return derivation;
}
