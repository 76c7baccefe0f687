/**
 * Purpose: this server towards the group above: enrols once, brings the enterprise policy down, sends distribution status and the
 * corporate licence inventory up (domain.md §1, §2, §7).
 * Invariants: the identity is the server's root key and the enrolment lies in the database, so several servers of one company are one
 * node above and a restored backup stays enrolled; a policy is used only when it verifies under the pinned root and is newer - what is
 * refused is named upward; every message may be sent twice.
 * Failure: the group may be away at the start or for a day; everything is tried again with the uplink's back-off, and what is current
 * then is what is sent. Nothing here holds up the rest of the server.
 */
import { parseEnrollmentToken, type DownMessage, type Signer } from "@daicho/protocol";
import {
  createChannel,
  createUplink,
  enroll,
  type Channel,
  type Enrollment,
  type Identity,
  type Uplink,
  type UplinkResult,
} from "@daicho/uplink";
import { isDaichoError, readTls, wait, type Clock, type Log, type TlsConfig } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { Events } from "../../events.ts";
import type { Nodes } from "../nodes/index.ts";
import type { Policies } from "../policies/index.ts";
import { fetchOrders, type Bookkeeping, type Pooled, type Word } from "../pooling/index.ts";
import type { OwnPositions } from "./companies.ts";
import { groupStore } from "./store.ts";
import { createTask, type Task } from "./task.ts";

export interface Upstream {
  /** Returns at once; the group may be away. */
  start(): void;
  readonly connected: boolean;
  /** Code of what went wrong last; undefined while all is well. */
  readonly lastError: string | undefined;
  stop(): Promise<void>;
}

export interface UpstreamConfig {
  readonly url: string | readonly string[];
  readonly enrollmentToken?: string;
  readonly tls?: TlsConfig;
}

const minute = 60_000;
const debounceMs = 250;
const leastDistanceMs = 500;
/** What an operator has to put right is looked at again after this. */
const operatorMs = 5 * minute;

export function createUpstream(deps: {
  readonly config: UpstreamConfig;
  readonly company: string;
  readonly db: Database;
  readonly signer: () => Signer;
  readonly policies: Policies;
  readonly nodes: Nodes;
  /** Absent at a group below a group: it is no company of its own. */
  readonly ownPositions: OwnPositions | undefined;
  /** Where what the group orders for this company is booked; absent at a group below a group. */
  readonly books: Pick<Bookkeeping, "held" | "book"> | undefined;
  /** What this company leaves to the group to buy. */
  readonly pooled: Pooled;
  readonly word: Word;
  /** Enterprise policy version the counts are made with. */
  readonly countedWith: () => number;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}): Upstream {
  const { config, clock, log, policies, nodes, events, db } = deps;
  const random = deps.random ?? Math.random;
  const urls = typeof config.url === "string" ? [config.url] : config.url;
  const stopping = new AbortController();
  const ends: (() => unknown)[] = [];
  let lastError: string | undefined;
  let channel: Channel | undefined;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    const tls = readTls(config.tls);
    const identity = await openDatabaseIdentity(db, deps.signer(), clock);
    const transport = { upstreams: urls, ...(tls && { tls }), clock, log };
    const clockOffset = await becomeEnrolled(identity, transport);
    if (stopping.signal.aborted) return;
    await deps.word.give();
    const uplink = createUplink({ ...transport, identity, ...(clockOffset !== undefined && { clockOffset }) });
    ends.unshift(() => uplink.close());
    work(uplink, identity);
  }

  /** Comes back enrolled, or when stopping. */
  async function becomeEnrolled(
    identity: Identity,
    transport: { upstreams: readonly string[]; clock: Clock; log: Log },
  ): Promise<number | undefined> {
    const token = config.enrollmentToken?.trim();
    for (let failures = 0; !stopping.signal.aborted; failures++) {
      if (isEnrolledFor(identity, token)) return undefined;
      try {
        const { clockOffset } = await enroll({
          ...transport,
          token: token ?? "",
          kind: "server",
          name: deps.company,
          identity,
          signal: stopping.signal,
        });
        log.info("upstream-enrolled", {});
        lastError = undefined;
        return clockOffset;
      } catch (error) {
        if (stopping.signal.aborted) return undefined;
        const known = isDaichoError(error) ? error : undefined;
        lastError = known?.code ?? "internal";
        log.warn("upstream-enrollment-failed", { code: lastError, reason: known?.message });
        const backOff = Math.min(operatorMs, 1000 * 2 ** Math.min(failures, 9)) * (0.5 + random() / 2);
        const least = known?.retryable === true ? (known.retryAfter ?? 0) * 1000 : operatorMs / 10;
        await wait(clock, Math.max(least, backOff), stopping.signal);
      }
    }
    return undefined;
  }

  function work(uplink: Uplink, identity: Identity): void {
    /** After how long to try again; undefined = done. */
    const outcome = (result: UplinkResult<unknown>): number | undefined => {
      lastError = result.kind === "ok" ? undefined : result.kind === "retry" ? result.code : result.problem.code;
      if (result.kind === "ok") return undefined;
      if (result.kind === "refused") log.warn("upstream-refused", { code: result.problem.code });
      return result.kind === "retry" ? Math.max(result.after, 250) : minute;
    };

    const failed = (task: string) => (error: unknown) => {
      log.error("upstream-task-failed", { task, reason: error instanceof Error ? error.message : "unknown" });
    };

    let etag: string | undefined;
    const policy = createTask({
      clock,
      leastDistanceMs,
      everyMs: 3 * minute,
      onError: failed("policy"),
      async run() {
        const held = policies.state().enterprise;
        const result = await uplink.fetchDocument("/ingest/v1/policy", { etag, version: held }, stopping.signal);
        const again = outcome(result);
        if (result.kind !== "ok") return again;
        const fetched = result.value;
        if (fetched.kind === "untrusted")
          await policies.noteRefusal({
            code: fetched.refusal,
            message: `the policy served by ${uplink.upstream} was refused`,
          });
        else if (fetched.kind === "document") {
          const received = await policies.receive(fetched.payload, fetched.document);
          await policies.noteRefusal(received.kind === "refused" ? received.fault : undefined);
          // Only what was taken need not be sent again: a refused one is looked at anew each time.
          etag = received.kind === "refused" ? undefined : fetched.etag;
        } else if (fetched.kind === "none" && held > 0)
          await policies.noteRefusal({
            code: "document-older",
            message: `${uplink.upstream} has no policy; ${held} was held`,
          });
        else await policies.noteRefusal(undefined);
        return undefined;
      },
    });
    const status = createTask({
      clock,
      leastDistanceMs,
      everyMs: minute,
      onError: failed("status"),
      run: async () => outcome(await uplink.postStatus(await nodes.report(), stopping.signal)),
    });
    const { ownPositions } = deps;
    let sent: { readonly said: string; readonly again: number } | undefined;
    const positions =
      ownPositions &&
      createTask({
        clock,
        leastDistanceMs,
        everyMs: minute,
        onError: failed("positions"),
        async run() {
          // The policy first: what becomes true in between is said again, what was said too early would stay.
          const policy = deps.countedWith();
          const own = await ownPositions();
          const said = `${own.version} ${policy}`;
          // What another server counted before it was killed shows here; what becomes true by the clock alone is said every hour.
          if (said === sent?.said && clock.now() < sent.again) return undefined;
          const { company, pooled } = deps;
          const again = outcome(
            await uplink.postCompanyPositions({ ...own, company, policy, pooled }, stopping.signal),
          );
          if (again !== undefined) return again;
          // Who buys is settled by the answer that comes after it was told.
          if (sent === undefined) orders?.soon(0);
          sent = { said, again: clock.now() + 60 * minute };
          return undefined;
        },
      });

    const { books } = deps;
    const orders =
      books &&
      createTask({
        clock,
        leastDistanceMs,
        everyMs: 3 * minute,
        onError: failed("orders"),
        async run() {
          const root = identity.enrollment?.root;
          if (root === undefined) return minute;
          const { signal } = stopping;
          const { company, word } = deps;
          const result = await fetchOrders({ uplink, root, company, books, word, signal });
          const again = outcome(result);
          if (result.kind !== "ok" || result.value.kind !== "untrusted") return again;
          lastError = result.value.refusal;
          log.warn("upstream-orders-refused", { code: result.value.refusal });
          return minute;
        },
      });

    const onMessage = (message: DownMessage): void => {
      // Many companies hear of a new policy in the same moment; a little apart is kinder and no slower to the eye.
      if (message.type === "policy-changed" || message.type === "hello") {
        policy.soon(random() * debounceMs);
        orders?.soon(random() * debounceMs);
      }
      if (message.type === "scan-now" && message.devices === undefined) void nodes.reach.scanNow();
    };
    channel = createChannel({
      uplink,
      clock,
      log,
      onMessage,
      onState: (connected) => {
        if (!connected) return;
        sent = undefined;
        status.soon(0);
        positions?.soon(0);
      },
    });
    const tasks: readonly Task[] = [policy, status, ...(positions ? [positions] : []), ...(orders ? [orders] : [])];
    ends.unshift(
      events.on("status-changed", () => status.soon(debounceMs)),
      events.on("dictionary-changed", () => status.soon(debounceMs)),
      events.on("enterprise-changed", () => positions?.soon(debounceMs)),
      events.on("positions-changed", () => positions?.soon(debounceMs)),
      () => channel?.close(),
      ...tasks.map((task) => () => task.stop()),
    );
    for (const task of tasks) task.soon(0);
  }

  return {
    start() {
      running ??= run().catch((error: unknown) => {
        lastError = isDaichoError(error) ? error.code : "internal";
        log.error("upstream-failed", { reason: error instanceof Error ? error.message : "unknown" });
      });
    },
    get connected() {
      return channel?.connected ?? false;
    },
    get lastError() {
      return lastError;
    },
    async stop() {
      stopping.abort();
      await running;
      for (const end of ends) await end();
    },
  };
}

/** Enrolled, and at the group that the token names - a token of another group means to move there. */
function isEnrolledFor(identity: Identity, token: string | undefined): boolean {
  const { enrollment } = identity;
  if (enrollment === undefined) return false;
  const named = token === undefined ? undefined : parseEnrollmentToken(token)?.rootFingerprint;
  return named === undefined || enrollment.root.keys.some((key) => key.id === named);
}

async function openDatabaseIdentity(db: Database, signer: Signer, clock: Clock): Promise<Identity> {
  const row = await groupStore.enrollment(db.kysely);
  let enrollment = row === undefined ? undefined : (JSON.parse(row.enrollment) as Enrollment);
  return {
    id: signer.keyId,
    signer,
    get enrollment() {
      return enrollment;
    },
    async saveEnrollment(next) {
      await groupStore.saveEnrollment(db.kysely, JSON.stringify(next), clock.now());
      enrollment = next;
    },
  };
}
