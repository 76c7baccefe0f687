/**
 * Purpose: what becomes of a run: taken back as long as its orders are not placed, or placed (domain.md §7 "reversible until its order is placed").
 * Invariants: a reversal is one transaction and gives back exactly what the run changed - differences, so what others changed since stays - or is
 * refused, says where, and changes nothing. It is taken from who has the rights now (follow.ts).
 */
import type { Clock } from "@daicho/kernel";
import { unassigned } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import { eachPolitely } from "../../slices.ts";
import {
  adjustRights,
  eachCounts,
  holdCounting,
  recordingTime,
  touchPositions,
  type Cube,
  type Entitlements,
  type Positions,
  type RightsChange,
} from "../licenses/index.ts";
import type { PurchaseRun } from "./answer.ts";
import type { GrantedApplications } from "./applications.ts";
import { eachRightsRow, type PurchaseReader } from "./read.ts";
import { purchaseStore as store, type RunRow } from "./store.ts";

export interface PurchaseReversal {
  /** @throws not-found, conflict */
  reverse(id: string): Promise<PurchaseRun>;
  /** The orders went to the supplier. @throws not-found, conflict */
  place(id: string, supplierOrder?: string): Promise<PurchaseRun>;
}

export function createPurchaseReversal(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly positions: Positions;
  readonly entitlements: Entitlements;
  readonly applications: GrantedApplications;
  readonly reader: PurchaseReader;
}): PurchaseReversal {
  const { db, clock, events, positions, entitlements, reader } = deps;

  return {
    async reverse(id) {
      const done = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const row = await found(trx, id);
        if (row.state === "placed")
          throw conflict(`The orders of run ${id} are placed: it cannot be reversed any more`);
        if (row.state === "reversed") return { run: await reader.within(trx, row), changed: false };
        await holdCounting(trx, db.dialect);
        const at = await recordingTime(trx, clock.now());
        const cube = await positions.cubeWithin(trx);
        await takeBackEntitlements(trx, id, at);
        const changes = await given(trx, id);
        await refuseWhereGone(changes, cube);
        const touched = await adjustRights(db, trx, await asAppliedFor(trx, id, changes), at, "purchaseRun");
        await store.setState(trx, id, "reversed", at);
        await touchPositions(db, trx, at, { departments: touched, entitlements: true });
        return { run: await reader.within(trx, { ...row, state: "reversed", changed_at: at }), changed: true };
      });
      if (done.changed) events.emit("positions-changed", {});
      return done.run;
    },

    place: (id, supplierOrder) =>
      db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const row = await found(trx, id);
        if (row.state === "reversed") throw conflict(`Run ${id} was reversed: there is nothing to place`);
        const orders = await store.ordersOfRun(trx, id);
        const other = orders.find((order) => (order.supplier_order ?? supplierOrder) !== supplierOrder);
        if (supplierOrder !== undefined && other !== undefined)
          throw conflict(`The orders of run ${id} are placed under ${other.supplier_order}`);
        if (row.state !== "placed") await store.setState(trx, id, "placed", clock.now());
        if (supplierOrder !== undefined) await store.setSupplierOrder(trx, id, supplierOrder);
        return reader.within(trx, { ...row, state: "placed" });
      }),
  };

  async function found(trx: Trx, id: string): Promise<RunRow> {
    const row = await store.run(trx, id);
    if (row === undefined) throw serverErrors.make("not-found", { what: "purchase run", id });
    return row;
  }

  async function takeBackEntitlements(trx: Trx, run: string, at: number): Promise<void> {
    const orders = await store.ordersOfRun(trx, run);
    const ids = orders.map((order) => order.entitlement);
    const edited = new Set(await entitlements.withdrawUnchanged(trx, ids, at));
    const changed = orders.find((order) => edited.has(order.entitlement));
    if (changed !== undefined)
      throw conflict(
        `Entitlement ${changed.entitlement} of order ${changed.order_no} was changed since the run: place the run instead, and correct the entitlement`,
      );
  }

  /** What taking the run back does to rights, one change for each department that is there now. */
  async function given(trx: Trx, run: string): Promise<RightsChange[]> {
    const dissolved = new Set((await store.dissolved(trx)).map(({ ordinal }) => ordinal));
    const changes = new Map<string, RightsChange & { rights: number }>();
    const add = (department: number, license: number, rights: number): void => {
      const key = `${department}:${license}`;
      const change = changes.get(key);
      if (change === undefined) changes.set(key, { department, license, rights });
      else change.rights += rights;
    };
    await eachRightsRow(trx, run, (row) => add(row.department, row.license, row.rights_before - row.rights_after));
    for (const { department, license, rights } of await store.moved(trx, run)) add(department, license, -rights);
    // Of a department that ended and left nothing to anybody, nobody takes idle rights back: they stay with the company.
    for (const [key, { department, rights }] of changes)
      if (dissolved.has(department) && rights >= 0) changes.delete(key);
    return [...changes.values()];
  }

  /** @throws conflict where a department would have less than none */
  async function refuseWhereGone(changes: readonly RightsChange[], cube: Cube): Promise<void> {
    const held = new Map<string, number>();
    await eachPolitely(cube.rows, ([department, counts]) =>
      eachCounts(counts, (place, { rights }) => {
        if (rights > 0) held.set(`${department}:${cube.licenses[place]?.ordinal}`, rights);
      }),
    );
    const licenses = new Map(cube.licenses.map(({ ordinal, code }) => [ordinal, code]));
    const gone = changes.flatMap(({ department, license, rights = 0 }) => {
      const has = held.get(`${department}:${license}`) ?? 0;
      const code = cube.departments.get(department)?.code ?? unassigned;
      return has + rights >= 0
        ? []
        : [`department ${code}, licence ${licenses.get(license)}: has ${has} rights, the run gave ${-rights}`];
    });
    if (gone.length > 0)
      throw conflict(
        `Rights that the run gave are gone: ${gone.slice(0, 5).join("; ")} (${gone.length} in all): reverse later runs first, give them back to the department, or place the run`,
      );
  }

  /** Requested belongs to applications: they say what is outstanding again. */
  async function asAppliedFor(
    trx: Trx,
    run: string,
    changes: readonly RightsChange[],
  ): Promise<readonly RightsChange[]> {
    const all = new Map(
      changes.map((change) => [`${change.department}:${change.license}`, { ...change, requested: 0 }]),
    );
    for (const { department, license, quantity } of await deps.applications.unsettle(trx, run)) {
      const key = `${department}:${license}`;
      all.set(key, { ...(all.get(key) ?? { department, license }), requested: quantity });
    }
    return [...all.values()];
  }
}

function conflict(reason: string): Error {
  return serverErrors.make("conflict", { reason });
}
