/**
 * Purpose: one connection of PostgreSQL's that hears what other servers NOTIFY, and holds the lock of whoever is on duty.
 * Invariants: the lock belongs to the connection's session, so it is free again as soon as PostgreSQL knows that the process or its connection is gone.
 * Failure: a lost connection is opened again, forever; until then this server is off duty and hears nothing, and says so when it is back.
 * The lock is tried for, never waited for: a statement that waits would keep PostgreSQL from clearing dead rows away.
 */
import pg from "pg";
import type { Clock, Log, Timer } from "@daicho/kernel";
import { dutyLock } from "./locks.ts";

/** NOTIFY's channel, and what the connections of a database's servers are called by. */
export const notificationChannel = "daicho_servers";

export interface Notifications {
  close(): Promise<void>;
}

/** How soon duty passes on when its holder is gone, and a dead connection is noticed. */
const beatMs = 3_000;
const backOffMs = [100, 500, 1_000, 3_000] as const;

export async function openNotifications(deps: {
  readonly url: string;
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly onMessage: (text: string) => void;
  /** Connected again: what was told meanwhile was not heard. */
  readonly onBack: () => void;
  readonly onDuty: (now: boolean) => void;
}): Promise<Notifications> {
  const { clock, log } = deps;
  let client: pg.Client | undefined;
  let timer: Timer | undefined;
  let onDuty = false;
  let failures = 0;
  let wasThere = false;
  let closed = false;

  const setDuty = (now: boolean): void => {
    if (onDuty === now) return;
    onDuty = now;
    log.info(now ? "server-on-duty" : "server-off-duty", {});
    deps.onDuty(now);
  };

  const lost = (gone: pg.Client, reason: string): void => {
    if (client !== gone || closed) return;
    client = undefined;
    timer?.cancel();
    gone.end().catch(() => undefined);
    log.warn("notifications-lost", { reason });
    setDuty(false);
    timer = clock.after(backOffMs[Math.min(failures++, backOffMs.length - 1)] as number, () => void connect());
  };

  const connect = async (): Promise<void> => {
    const next = new pg.Client({
      connectionString: deps.url,
      application_name: deps.name,
      connectionTimeoutMillis: 10_000,
      query_timeout: 10_000,
      keepAlive: true,
    });
    client = next;
    next.on("error", (error) => lost(next, error.message));
    next.on("end", () => lost(next, "ended"));
    next.on("notification", ({ payload }) => {
      try {
        deps.onMessage(payload ?? "");
      } catch (error) {
        log.warn("notification-unread", { reason: error instanceof Error ? error.message : "unknown" });
      }
    });
    try {
      await next.connect();
      await next.query(`listen ${notificationChannel}`);
      failures = 0;
      if (wasThere) deps.onBack();
      wasThere = true;
      await beat(next);
    } catch (error) {
      lost(next, error instanceof Error ? error.message : "unknown");
    }
  };

  const beat = async (on: pg.Client): Promise<void> => {
    const { rows } = await on.query<{ held: boolean }>(
      onDuty ? "select true as held" : `select pg_try_advisory_lock(${dutyLock.join(", ")}) as held`,
    );
    if (client !== on || closed) return;
    setDuty(rows[0]?.held === true);
    timer = clock.after(beatMs, () => {
      beat(on).catch((error: unknown) => lost(on, error instanceof Error ? error.message : "unknown"));
    });
  };

  await connect();
  return {
    async close() {
      closed = true;
      timer?.cancel();
      setDuty(false);
      await client?.end().catch(() => undefined);
    },
  };
}
