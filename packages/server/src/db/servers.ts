/**
 * Purpose: what the servers of one database have in common besides its tables: they tell and ask each other something, and one of them at a time is on
 * duty for what must be done once (postings, calendar, forwarding to the group, upkeep).
 * Invariants: what is told only hastens what whoever hears it reads from the tables; so a message may be lost - after a lost connection `missed` is heard,
 * and everybody looks again. What is told inside a transaction is heard if and only if it commits. Duty ends with the process that has it, however it
 * ends; for a moment two may believe that they have it, so what is done on duty must bear being done twice.
 * SQLite belongs to one process: it is always on duty, and has nobody to tell.
 */
import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import { sql } from "kysely";
import type { Clock, Log } from "@daicho/kernel";
import type { NodeKind } from "@daicho/protocol";
import type { Database, Trx } from "./database.ts";
import { notificationChannel, openNotifications } from "./notifications.ts";

/** What servers tell each other. */
export interface Tidings {
  /** What policies hold was changed. */
  readonly policies: Record<string, never>;
  /** Something besides a policy changed the meaning of all facts (inventory/revision.ts). */
  readonly revision: Record<string, never>;
  /** The change log of titles has grown. */
  readonly titles: Record<string, never>;
  /** An event of another server (events.ts) that whoever is on duty waits for. */
  readonly event: { readonly name: "positions-changed" | "status-changed" };
  /** Nodes of these kinds should hear that there is something new for them. */
  readonly push: { readonly kinds: readonly NodeKind[] };
  /** The list of removed nodes was changed. */
  readonly "nodes-removed": Record<string, never>;
  /** Never told: heard when messages may have been lost. */
  readonly missed: Record<string, never>;
}

/** What servers ask each other: question and answer. */
export interface Questions {
  /** Sends "scan now" to the connected of these nodes, or to all: how many connections it went to. */
  readonly "scan-now": readonly [{ readonly identities?: readonly string[] }, number];
  /** Sends words to all connected devices: how many connections it went to. */
  readonly message: readonly [{ readonly text: string }, number];
  /** Which of these nodes are connected, and how many agents are, here and at relays below. */
  readonly connected: readonly [
    { readonly nodes: readonly string[] },
    { readonly nodes: readonly string[]; readonly agents: number },
  ];
}

export interface Servers {
  /** All other servers. A message must stay below 7,000 bytes. */
  tell<K extends keyof Tidings>(what: K, message: Tidings[K]): void;
  hear<K extends keyof Tidings>(what: K, listener: (message: Tidings[K]) => void): () => void;
  /** The answers of all servers, this one's first; a server that is not there or does not answer within a second is left out. */
  ask<K extends keyof Questions>(what: K, question: Questions[K][0]): Promise<readonly Questions[K][1][]>;
  answer<K extends keyof Questions>(what: K, give: (question: Questions[K][0]) => Questions[K][1]): void;
  readonly onDuty: boolean;
  /** Called at once, and whenever this server comes on duty or goes off. */
  duty(changed: (onDuty: boolean) => void): void;
  stop(): Promise<void>;
}

/** All servers hear it when the transaction commits, this one too - unless it is SQLite's only one, which knows what it does. */
export async function tellWithin(db: Pick<Database, "dialect">, trx: Trx, what: keyof Tidings): Promise<void> {
  if (db.dialect === "postgres")
    await sql`select pg_notify(${notificationChannel}, ${JSON.stringify({ what, message: {} })})`.execute(trx);
}

/**
 * What one server does for all of them: begun whenever this one comes on duty, ended when it goes off. Ends, too, when the answer's `stop` is called.
 */
export function whileOnDuty(
  servers: Pick<Servers, "duty">,
  log: Log,
  make: () => { start(): void; stop(): unknown },
): { stop(): Promise<void> } {
  let job: ReturnType<typeof make> | undefined;
  let stopped = false;
  let turn: Promise<void> = Promise.resolve();
  const turnTo = (onDuty: boolean): Promise<void> =>
    (turn = turn
      .then(async () => {
        if (onDuty === (job !== undefined)) return;
        const before = job;
        job = onDuty ? make() : undefined;
        job?.start();
        await before?.stop();
      })
      .catch((error: unknown) => {
        log.error("duty-failed", { reason: error instanceof Error ? error.message : "unknown" });
      }));
  servers.duty((onDuty) => void (stopped || turnTo(onDuty)));
  return {
    stop() {
      stopped = true;
      return turnTo(false);
    },
  };
}

const answerMs = 1000;

interface Wire {
  /** Absent: told inside a transaction. */
  readonly from?: string;
  readonly what: string;
  readonly message?: unknown;
  /** Of a question, and of the answer to it. */
  readonly question?: string;
  readonly to?: string;
}

export async function openServers(deps: {
  readonly db: Database;
  readonly url: string;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Servers> {
  const { db, clock, log } = deps;
  const id = randomBytes(8).toString("hex");
  const heard = new EventEmitter().setMaxListeners(100);
  const answers = new Map<string, (question: never) => unknown>();
  const waiting = new Map<string, (answer: unknown) => void>();
  const changes: ((onDuty: boolean) => void)[] = [];
  let onDuty = db.dialect === "sqlite";
  let asked = 0;

  const send = async (wire: Wire): Promise<number> => {
    const text = JSON.stringify({ ...wire, from: id });
    const { rows } = await sql<{ others: number }>`select pg_notify(${notificationChannel}, ${text}),
      (select count(*) from pg_stat_activity where datname = current_database()
        and application_name like ${`${notificationChannel} %`} and application_name <> ${nameOf(id)}) as others`.execute(
      db.kysely,
    );
    return Number(rows[0]?.others ?? 0);
  };
  const unsent = (error: unknown): void =>
    log.warn("servers-not-told", { reason: error instanceof Error ? error.message : "unknown" });
  const told = (what: string, message: unknown): void => {
    try {
      heard.emit(what, message);
    } catch (error) {
      log.error("server-message-failed", { what, reason: error instanceof Error ? error.message : "unknown" });
    }
  };

  const receive = (text: string): void => {
    const { from, what, message, question, to } = JSON.parse(text) as Wire;
    if (from === id) return;
    if (to !== undefined) {
      if (to === id && question !== undefined) waiting.get(question)?.(message);
    } else if (question !== undefined && from !== undefined) {
      const give = answers.get(what);
      if (give !== undefined) send({ what, question, to: from, message: give(message as never) }).catch(unsent);
    } else told(what, message);
  };

  const connection =
    db.dialect === "sqlite"
      ? undefined
      : await openNotifications({
          url: deps.url,
          name: nameOf(id),
          clock,
          log,
          onMessage: receive,
          onBack: () => told("missed", {}),
          onDuty(now) {
            onDuty = now;
            for (const changed of changes) changed(now);
          },
        });

  return {
    tell(what, message) {
      if (connection !== undefined) send({ what, message }).catch(unsent);
    },
    hear(what, listener) {
      heard.on(what, listener);
      return () => void heard.off(what, listener);
    },
    async ask(what, question) {
      const own = answers.get(what)?.(question as never);
      const all: unknown[] = own === undefined ? [] : [own];
      if (connection !== undefined) {
        const key = `${id}-${++asked}`;
        let others = Number.POSITIVE_INFINITY;
        let came = 0;
        await new Promise<void>((resolve) => {
          const late = clock.after(answerMs, resolve);
          const done = (): void => {
            if (came < others) return;
            late.cancel();
            resolve();
          };
          waiting.set(key, (answer) => {
            all.push(answer);
            came++;
            done();
          });
          send({ what, question: key, message: question }).then(
            (count) => {
              others = count;
              done();
            },
            (error: unknown) => {
              unsent(error);
              resolve();
            },
          );
        });
        waiting.delete(key);
      }
      return all as Questions[typeof what][1][];
    },
    answer(what, give) {
      answers.set(what, give);
    },
    get onDuty() {
      return onDuty;
    },
    duty(changed) {
      changes.push(changed);
      changed(onDuty);
    },
    async stop() {
      heard.removeAllListeners();
      await connection?.close();
    },
  };
}

function nameOf(id: string): string {
  return `${notificationChannel} ${id}`;
}
