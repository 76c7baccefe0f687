/**
 * Purpose: envelopes that the node above refuses as a whole request although each was alone in it - another version's envelope, one beyond that
 * node's limits. They are laid aside, one file each, so that they do not hold up everybody else's reports, and offered again at every start and
 * every hour: nothing that was acknowledged is ever dropped, and an upgrade above lets them through.
 * Invariants: a file is synced before its record leaves the spool, and removed only after the node above has answered for it. A device whose report
 * lies here goes on reporting; a gap shows by digest and is repaired by a full report (design.md "Delivery").
 * Failure: full (`limit` files) → `keep` answers false, and the record stays at the head of the spool, visibly.
 */
import { mkdir, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Log, Timer } from "@daicho/kernel";
import { writeFileAtomic } from "@daicho/uplink";

export interface SetAside {
  /** How many lie here. */
  readonly count: number;
  keep(record: { readonly position: number; readonly data: Buffer }): Promise<boolean>;
  stop(): Promise<void>;
}

export async function openSetAside(options: {
  readonly dir: string;
  readonly limit: number;
  /** Offers it to the node above; true = answered for. */
  readonly offer: (data: Buffer) => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs?: number;
}): Promise<SetAside> {
  const { dir, limit, offer, clock, log, everyMs = 3_600_000 } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const names = (await readdir(dir)).filter((name) => /^\d+\.envelope$/.test(name)).sort(byPosition);
  let stopped = false;
  let timer: Timer | undefined;
  let round: Promise<void> = Promise.resolve();

  const offerAll = async (): Promise<void> => {
    for (const name of [...names]) {
      if (stopped || !(await offer(await readFile(join(dir, name))))) continue;
      await unlink(join(dir, name));
      names.splice(names.indexOf(name), 1);
      log.info("set-aside-forwarded", { left: names.length });
    }
  };
  const later = (ms: number): void => {
    timer = clock.after(ms, () => {
      round = offerAll()
        .catch((error: unknown) =>
          log.error("set-aside-failed", { reason: (error as { code?: string }).code ?? "unknown" }),
        )
        .then(() => (stopped ? undefined : later(everyMs)));
    });
  };
  later(0);

  return {
    get count() {
      return names.length;
    },
    async keep({ position, data }) {
      const name = `${position}.envelope`;
      if (names.includes(name)) return true;
      if (names.length >= limit) return false;
      await writeFileAtomic(join(dir, name), data);
      names.push(name);
      log.error("report-set-aside", { position, lying: names.length });
      return true;
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      await round;
    },
  };
}

function byPosition(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10);
}
