/** Purpose: entitlements for the API and for imports: lists, single ones, edits that keep history. */
import { createHash } from "node:crypto";
import { parseAttachedRights, type AttachedRight } from "@daicho/licensing";
import { isDaichoError, newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { serverErrors } from "../../../errors.ts";
import type { Events } from "../../../events.ts";
import type { ListQuery } from "../../../http/list.ts";
import { page, type Page } from "../../../db/page.ts";
import { errorOfRow, type WriteMode, type WriteResult } from "../../../rows.ts";
import { mapPolitely } from "../../../slices.ts";
import type { PolicyLicenses } from "../catalog-store.ts";
import { recordingTime, touchPositions } from "../version.ts";
import { entitlementStore as store } from "./store.ts";
import { withdrawAll, withdrawUnchanged } from "./withdraw.ts";
import { writeEntitlements, type EntitlementInput } from "./write.ts";

export interface Entitlement {
  readonly id: string;
  readonly license: string;
  readonly name: string;
  readonly metric: string;
  readonly quantity: number;
  readonly unitPrice?: number;
  readonly currency?: string;
  readonly purchasedAt?: string;
  readonly startsAt?: string;
  readonly expiresAt?: string;
  readonly rights?: string;
  readonly contract?: string;
  readonly order?: string;
  readonly department?: string;
  readonly certificate?: string;
  readonly supplier?: string;
  /** Id of the entitlement it belongs to. */
  readonly parent?: string;
  readonly manager?: string;
  readonly packSize: number;
  /** quantity × packSize: what it adds to held while it is valid. */
  readonly units: number;
  /** `rights` as they are understood. */
  readonly attached?: readonly AttachedRight[];
  /** When it was written so. */
  readonly recordedAt: string;
  /** In history: until when it said so. */
  readonly replacedAt?: string;
}

export interface EntitlementFilter {
  readonly license?: string;
  readonly metric?: string;
  readonly department?: string;
  readonly contract?: string;
  readonly order?: string;
  /** Milliseconds: only those valid then. */
  readonly validAt?: number;
}

export interface Entitlements {
  list(query: ListQuery & EntitlementFilter): Promise<Page<Entitlement>>;
  entitlement(id: string): Promise<Entitlement | undefined>;
  /** What it said, newest first, the current version among it. */
  history(id: string): Promise<readonly Entitlement[]>;
  /** `idempotency` names the caller and the key: the same again finds its own work done. @throws conflict */
  create(input: EntitlementInput, idempotency?: string): Promise<Entitlement>;
  change(id: string, input: EntitlementInput): Promise<Entitlement>;
  remove(id: string): Promise<boolean>;
  /** For imports, inside their transaction. */
  write(trx: Trx, rows: readonly EntitlementInput[], options: { mode: WriteMode; at: number }): Promise<WriteResult>;
  /**
   * Takes back what a transaction wrote before, as long as nobody changed any of it since; answers the ids that were changed. The caller touches the
   * positions.
   */
  withdrawUnchanged(trx: Trx, ids: readonly string[], at: number): Promise<readonly string[]>;
  /** Takes back what is there of these, changed or not. The caller touches the positions. */
  withdraw(trx: Trx, ids: readonly string[], at: number): Promise<void>;
}

export function createEntitlements(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  /** What was bought has changed; metrics may follow it (modules/inventory). */
  readonly bought?: (trx: Trx) => Promise<void>;
  readonly ofPolicy?: PolicyLicenses;
}): Entitlements {
  const { db, clock, events } = deps;

  const written = async <T extends WriteResult>(trx: Trx, result: T): Promise<T> => {
    if (result.faults.length === 0 && result.created + result.updated > 0) await deps.bought?.(trx);
    return result;
  };

  const entitlement = async (id: string): Promise<Entitlement | undefined> => {
    const row = await store
      .list(db.kysely)
      .where("t.id", "=", id)
      .where("t.replaced_at", "is", null)
      .executeTakeFirst();
    return row === undefined ? undefined : entitlementOf(row);
  };

  const save = async (input: EntitlementInput & { id: string }, mode: WriteMode): Promise<Entitlement> => {
    const result = await db.transaction(async (trx) => {
      const result = await writeEntitlements(db, trx, [input], { mode, at: clock.now() });
      if (result.faults[0] !== undefined) throw errorOfRow(result.faults[0], "entitlement", input.id);
      return written(trx, result);
    });
    if (result.unchanged === 0) events.emit("positions-changed", {});
    return (await entitlement(input.id)) as Entitlement;
  };

  return {
    entitlement,

    async list(query) {
      let select = store.list(db.kysely).where("t.replaced_at", "is", null);
      if (query.license !== undefined) select = select.where("l.code", "=", query.license);
      if (query.metric !== undefined) select = select.where("t.metric", "=", query.metric);
      if (query.department !== undefined) select = select.where("d.code", "=", query.department);
      if (query.contract !== undefined) select = select.where("t.contract", "=", query.contract);
      if (query.order !== undefined) select = select.where("t.order_no", "=", query.order);
      const { validAt } = query;
      if (validAt !== undefined)
        select = select
          .where((eb) => eb.or([eb("t.starts_at", "is", null), eb("t.starts_at", "<=", validAt)]))
          .where((eb) => eb.or([eb("t.expires_at", "is", null), eb("t.expires_at", ">=", validAt)]));
      const found = await page(select, {
        dialect: db.dialect,
        query,
        fields: {
          id: { column: "t.id" },
          license: { column: "l.code" },
          metric: { column: "t.metric" },
          department: { column: "d.code", nullable: true },
          contract: { column: "t.contract", nullable: true },
          order: { column: "t.order_no", nullable: true },
        },
      });
      return { ...found, rows: await mapPolitely(found.rows, entitlementOf) };
    },

    async history(id) {
      const rows = await store
        .list(db.kysely)
        .where((eb) => eb.or([eb("t.id", "=", id), store.formerVersions(id)]))
        .orderBy("t.created_at", "desc")
        .orderBy("t.id", "desc")
        .execute();
      return rows.map(entitlementOf);
    },

    async create(input, idempotency) {
      if (idempotency === undefined) return save({ ...input, id: newId(clock.now()) }, "create");
      const id = idOf(idempotency);
      try {
        return await save({ ...input, id }, "create");
      } catch (error) {
        if (!isDaichoError(error, "already-exists")) throw error;
        const now = await entitlement(id);
        if (now !== undefined && says(now, input)) return now;
        throw serverErrors.make("conflict", { reason: "This Idempotency-Key was used for another entitlement" });
      }
    },

    change: (id, input) => save({ ...input, id }, "change"),

    async remove(id) {
      const removed = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const at = await recordingTime(trx, clock.now());
        const done = await store.remove(trx, id, at);
        if (done) {
          await touchPositions(db, trx, at, { entitlements: true });
          await deps.bought?.(trx);
        }
        return done;
      });
      if (removed) events.emit("positions-changed", {});
      return removed;
    },

    write: async (trx, rows, options) =>
      written(trx, await writeEntitlements(db, trx, rows, { ...options, ofPolicy: deps.ofPolicy })),

    async withdrawUnchanged(trx, ids, at) {
      const changed = await withdrawUnchanged(db, trx, ids, at);
      if (changed.length === 0 && ids.length > 0) await deps.bought?.(trx);
      return changed;
    },

    async withdraw(trx, ids, at) {
      if (await withdrawAll(trx, ids, at)) await deps.bought?.(trx);
    },
  };
}

/** The same key of the same caller makes the same id; the primary key does the rest. */
function idOf(idempotency: string): string {
  return `i${createHash("sha256").update(idempotency).digest("hex").slice(0, 31)}`;
}

function says(held: Entitlement, input: EntitlementInput): boolean {
  const ms = (text: string | undefined): number | null => (text === undefined ? null : Date.parse(text));
  const now: Record<keyof EntitlementInput, unknown> = {
    id: held.id,
    license: held.license,
    metric: held.metric,
    quantity: held.quantity,
    unitPrice: held.unitPrice ?? null,
    currency: held.currency ?? null,
    purchasedAt: ms(held.purchasedAt),
    startsAt: ms(held.startsAt),
    expiresAt: ms(held.expiresAt),
    rights: held.rights ?? null,
    contract: held.contract ?? null,
    order: held.order ?? null,
    certificate: held.certificate ?? null,
    supplier: held.supplier ?? null,
    parent: held.parent ?? null,
    manager: held.manager ?? null,
    packSize: held.packSize,
    department: held.department ?? null,
  };
  return (Object.keys(input) as (keyof EntitlementInput)[]).every((name) => now[name] === (input[name] ?? null));
}

type Listed = Awaited<ReturnType<ReturnType<typeof store.list>["execute"]>>[number];

function entitlementOf(row: Listed): Entitlement {
  const time = <K extends string>(name: K, ms: number | null): Partial<Record<K, string>> =>
    ms === null ? {} : ({ [name]: new Date(ms).toISOString() } as Record<K, string>);
  return {
    id: row.id.split("/")[0] ?? row.id,
    license: row.license,
    name: row.name,
    metric: row.metric,
    quantity: row.quantity,
    ...(row.unit_price !== null && { unitPrice: row.unit_price }),
    ...(row.currency !== null && { currency: row.currency }),
    ...time("purchasedAt", row.purchased_at),
    ...time("startsAt", row.starts_at),
    ...time("expiresAt", row.expires_at),
    ...(row.rights !== null && { rights: row.rights }),
    ...(row.contract !== null && { contract: row.contract }),
    ...(row.order_no !== null && { order: row.order_no }),
    ...(row.department !== null && { department: row.department }),
    ...(row.certificate !== null && { certificate: row.certificate }),
    ...(row.supplier !== null && { supplier: row.supplier }),
    ...(row.parent !== null && { parent: row.parent }),
    ...(row.manager !== null && { manager: row.manager }),
    packSize: row.pack_size,
    units: row.quantity * row.pack_size,
    ...(row.rights !== null && { attached: parseAttachedRights(row.rights).rights }),
    recordedAt: new Date(row.created_at).toISOString(),
    ...time("replacedAt", row.replaced_at),
  };
}
