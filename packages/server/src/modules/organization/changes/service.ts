/**
 * Purpose: organisation changes that are asked for: at once, for a day to come, or to see first what they would do (contract.md `/org-changes`).
 * Invariants: what is applied and the record of it are one transaction, so a crash leaves both or neither; a preview and a plan run the very same
 * code and take it back; a planned change is applied once, by whichever server comes first (it looks at the record under the ledger's lock).
 * Planned changes are applied at the start of their day in the organisation's time zone, in the order of days and of asking; late ones at the next
 * start. One that no longer fits is kept as failed, with the reason, and holds up nobody; it can be tried again or cancelled.
 */
import { createHash } from "node:crypto";
import { isDaichoError, kernelErrors, newId, type Clock, type Log, type Timer } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { page, type Page } from "../../../db/page.ts";
import { serverErrors } from "../../../errors.ts";
import type { Events } from "../../../events.ts";
import type { ListQuery } from "../../../http/list.ts";
import { inputInvalid } from "../../../http/problem.ts";
import { parseTime } from "../../../times.ts";
import { outcomes } from "./outcomes.ts";
import { requestStore as store, type OrgChangeRow } from "./request-store.ts";
import type { OrgChange, OrgChanges, OrgFault, OrgOutcome } from "./types.ts";

export const orgChangeStates = ["planned", "applied", "failed", "cancelled"] as const;
export type OrgChangeState = (typeof orgChangeStates)[number];

export interface OrgChangeItem {
  readonly id: string;
  readonly state: OrgChangeState;
  readonly effectiveOn?: string;
  readonly types: readonly string[];
  readonly createdAt: string;
  readonly createdBy: string;
  /** When it was applied, failed or cancelled. */
  readonly doneAt?: string;
  readonly failure?: { readonly code: string; readonly message: string; readonly faults: readonly OrgFault[] };
}

export interface OrgChangeDetails extends OrgChangeItem {
  readonly changes: readonly OrgChange[];
  /** What came of it; of a planned one that was just asked for, what is expected. */
  readonly result?: OrgOutcome;
}

export interface OrgChangeRequest {
  readonly changes: readonly OrgChange[];
  /** Date in the organisation's time zone. */
  readonly effectiveOn?: string;
  readonly idempotencyKey?: string;
}

export interface OrgChangeRequests extends OrgChanges {
  /** What the changes would do, nothing of it kept. @throws org-change-invalid, input-invalid */
  preview(request: OrgChangeRequest, by: string): Promise<OrgOutcome>;
  /** Applies them, or plans them. @throws org-change-invalid, input-invalid, conflict */
  request(request: OrgChangeRequest, by: string): Promise<OrgChangeDetails>;
  list(query: ListQuery & { readonly state?: string }): Promise<Page<OrgChangeItem>>;
  get(id: string): Promise<OrgChangeDetails | undefined>;
  /** @throws not-found, conflict */
  cancel(id: string): Promise<OrgChangeDetails>;
  /** Applies a failed or a planned one now. @throws org-change-invalid, not-found, conflict */
  applyNow(id: string, by: string): Promise<OrgChangeDetails>;
  /** Applies what is due. */
  applyDue(): Promise<void>;
  /** Applies what is due now and, from then on, when it falls due. */
  start(): void;
  stop(): Promise<void>;
}

/** How often it is looked whether another day has begun; a day of a time zone may have 23 or 25 hours. */
const lookEveryMs = 60_000;

export function createOrgChangeRequests(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly log: Log;
  readonly changes: OrgChanges;
  /** IANA name. */
  readonly timezone: string;
}): OrgChangeRequests {
  const { db, clock, events, log } = deps;
  const today = dayIn(deps.timezone);

  const announce = (): void => {
    events.emit("devices-changed", {});
    events.emit("positions-changed", {});
  };

  /** What the changes do after everything that is planned until then; taken back. */
  const rehearsed = (trx: Trx, { changes, effectiveOn }: OrgChangeRequest, by: string): Promise<OrgOutcome> =>
    store.rehearse(trx, async () => {
      const day = effectiveOn ?? today(clock.now());
      for (const earlier of await store.planned(trx, day))
        await store
          .attempt(trx, () => deps.changes.apply(trx, changesOf(earlier), { at: clock.now(), by: earlier.created_by }))
          .catch((error: unknown) => {
            // It will be reported when its day comes, and changes nothing here either.
            if (!isDaichoError(error, "org-change-invalid")) throw error;
          });
      return deps.changes.apply(trx, changes, { at: clock.now(), by });
    });

  const checkDay = (effectiveOn: string | undefined): void => {
    if (effectiveOn === undefined) return;
    const now = today(clock.now());
    if (effectiveOn.length !== 10 || parseTime(effectiveOn) === undefined)
      throw inputInvalid([{ path: "/effectiveOn", message: "must be a date such as 2026-04-01" }]);
    if (effectiveOn < now)
      throw inputInvalid([
        { path: "/effectiveOn", message: `${effectiveOn} is past; today is ${now} (${deps.timezone})` },
      ]);
  };

  const applied = async <R extends Pick<OrgChangeRow, "id" | "changes">>(
    trx: Trx,
    row: R,
    by: string,
  ): Promise<{ readonly row: R; readonly result: OrgOutcome }> => {
    const at = clock.now();
    const result = await deps.changes.apply(trx, changesOf(row), { at, by });
    const set = { state: "applied", done_at: at, failure: null };
    await store.update(trx, row.id, set);
    await outcomes.keep(trx, row.id, result);
    return { row: { ...row, ...set }, result };
  };

  const withOutcome = async (row: Omit<OrgChangeRow, "place">): Promise<OrgChangeDetails> => ({
    ...detailsOf(row),
    ...(row.state === "applied" && { result: await outcomes.of(db.kysely, row.id) }),
  });

  const failed = (id: string, states: readonly string[], failure: OrgChangeItem["failure"]): Promise<void> =>
    db.transaction(async (trx) => {
      await lockLedger(trx, db.dialect);
      const row = await store.byId(trx, id);
      if (row !== undefined && states.includes(row.state))
        await store.update(trx, id, { state: "failed", done_at: clock.now(), failure: JSON.stringify(failure) });
    });

  /** Applies one record that is in one of these states; answers undefined where it no longer is. */
  const run = async (id: string, states: readonly string[], by?: string): Promise<OrgChangeDetails | undefined> => {
    try {
      const done = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const found = await store.byId(trx, id);
        return found === undefined || !states.includes(found.state)
          ? undefined
          : applied(trx, found, by ?? found.created_by);
      });
      if (done === undefined) return undefined;
      announce();
      return { ...detailsOf(done.row), result: done.result };
    } catch (error) {
      if (isDaichoError(error, "org-change-invalid")) {
        const { code, message } = error;
        await failed(id, states, { code, message, faults: (error as { faults?: readonly OrgFault[] }).faults ?? [] });
      }
      throw error;
    }
  };

  const due = async (): Promise<void> => {
    for (const { id } of await store.planned(db.kysely, today(clock.now())))
      try {
        if ((await run(id, ["planned"])) !== undefined) log.info("org-change-applied", { id });
      } catch (error) {
        if (!isDaichoError(error, "org-change-invalid")) throw error;
        log.warn("org-change-failed", { id, reason: error.code });
      }
  };
  // One round at a time: a second caller finds what is left.
  let turn: Promise<void> = Promise.resolve();
  const applyDue = (): Promise<void> => {
    const mine = turn.then(due);
    turn = mine.catch(() => undefined);
    return mine;
  };

  const there = async (trx: Trx, id: string): Promise<OrgChangeRow> => {
    await lockLedger(trx, db.dialect);
    const row = await store.byId(trx, id);
    if (row === undefined) throw serverErrors.make("not-found", { what: "organisation change", id });
    return row;
  };

  let timer: Timer | undefined;
  let running = false;
  const look = (): void => {
    void applyDue()
      .catch((error: unknown) =>
        log.error("org-changes-not-applied", { reason: error instanceof Error ? error.message : "unknown" }),
      )
      .finally(() => {
        if (running) timer = clock.after(lookEveryMs, look);
      });
  };

  return {
    apply: (trx, changes, options) => deps.changes.apply(trx, changes, options),

    async preview(request, by) {
      checkDay(request.effectiveOn);
      return db.transaction((trx) => rehearsed(trx, request, by));
    },

    async request(request, by) {
      checkDay(request.effectiveOn);
      await applyDue();
      const { changes, effectiveOn, idempotencyKey } = request;
      const future = effectiveOn !== undefined && effectiveOn > today(clock.now());
      const key = idempotencyKey === undefined ? null : sha256(`${by}\n${idempotencyKey}`);
      const digest = sha256(JSON.stringify([effectiveOn ?? null, changes]));
      const { row, result, fresh } = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const known = key === null ? undefined : await store.byKey(trx, key);
        if (known !== undefined) {
          if (known.digest === digest) return { row: known, result: undefined, fresh: false };
          throw serverErrors.make("conflict", { reason: "This Idempotency-Key came with another request before" });
        }
        const expected = future ? await rehearsed(trx, request, by) : undefined;
        const planned: Omit<OrgChangeRow, "place"> = {
          id: newId(clock.now()),
          state: "planned",
          effective_on: effectiveOn ?? null,
          types: [...new Set(changes.map(({ type }) => type))].join(","),
          changes: JSON.stringify(changes),
          idempotency_key: key,
          digest,
          created_at: clock.now(),
          created_by: by,
          done_at: null,
          failure: null,
        };
        await store.insert(trx, planned);
        return { ...(future ? { row: planned, result: expected } : await applied(trx, planned, by)), fresh: true };
      });
      if (fresh && row.state === "applied") announce();
      return result === undefined ? withOutcome(row) : { ...detailsOf(row), result };
    },

    async list(query) {
      let select = store.list(db.kysely);
      if (query.state !== undefined) select = select.where("c.state", "=", query.state);
      const found = await page(select, {
        dialect: db.dialect,
        query,
        fields: {
          id: { column: "c.id" },
          state: { column: "c.state" },
          effectiveOn: { column: "c.effective_on", nullable: true },
        },
      });
      return { ...found, rows: found.rows.map(itemOf) };
    },

    async get(id) {
      const row = await store.byId(db.kysely, id);
      return row === undefined ? undefined : withOutcome(row);
    },

    cancel: (id) =>
      db.transaction(async (trx) => {
        const row = await there(trx, id);
        if (row.state === "applied") throw serverErrors.make("conflict", { reason: `${id} is applied already` });
        const set = { state: "cancelled", done_at: clock.now() };
        if (row.state !== "cancelled") await store.update(trx, id, set);
        return detailsOf(row.state === "cancelled" ? row : { ...row, ...set });
      }),

    async applyNow(id, by) {
      const done = await run(id, ["planned", "failed"], by);
      if (done !== undefined) return done;
      const { state } = await db.transaction((trx) => there(trx, id));
      throw serverErrors.make("conflict", { reason: `${id} is ${state} already` });
    },

    applyDue,

    start() {
      running = true;
      look();
    },

    async stop() {
      running = false;
      timer?.cancel();
      await turn;
    },
  };
}

function changesOf(row: Pick<OrgChangeRow, "changes">): readonly OrgChange[] {
  return JSON.parse(row.changes) as readonly OrgChange[];
}

function itemOf(row: Omit<OrgChangeRow, "place" | "changes" | "digest" | "idempotency_key">): OrgChangeItem {
  return {
    id: row.id,
    state: row.state as OrgChangeState,
    ...(row.effective_on !== null && { effectiveOn: row.effective_on }),
    types: row.types.split(","),
    createdAt: new Date(row.created_at).toISOString(),
    createdBy: row.created_by,
    ...(row.done_at !== null && { doneAt: new Date(row.done_at).toISOString() }),
    ...(row.failure !== null && { failure: JSON.parse(row.failure) as NonNullable<OrgChangeItem["failure"]> }),
  };
}

function detailsOf(row: Omit<OrgChangeRow, "place">): OrgChangeDetails {
  return {
    ...itemOf(row),
    changes: changesOf(row),
  };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The date in a time zone at a moment. @throws config-invalid */
function dayIn(timezone: string): (at: number) => string {
  let format: Intl.DateTimeFormat;
  try {
    const timeZone = timezone;
    format = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  } catch (cause) {
    const faults = `organization.timezone: ${timezone} is no time zone; write one such as Asia/Tokyo or UTC`;
    throw kernelErrors.make("config-invalid", { file: "configuration", faults }, { cause });
  }
  return (at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
    return `${parts.get("year")}-${parts.get("month")}-${parts.get("day")}`;
  };
}
