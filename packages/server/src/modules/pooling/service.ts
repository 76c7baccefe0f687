/**
 * Purpose: at a group: price tiers, and one order per licence for the demand of all companies (domain.md §7 over companies), whose parts the
 * companies fetch and book.
 * Demand = what a company's newest corporate licence inventory lacks, less what was granted to it and does not show there yet: nothing is ordered
 * twice, whatever comes when.
 * Invariants: one order per period and licence; Σ parts = amount and Σ savings = saving; an order, its parts and what this server's own company books
 * of it are one transaction; a part is answered until the company says that it has it.
 */
import { poolOrders, tierFaults, type PriceTier } from "@daicho/licensing";
import { signDocument, type CompanyOrder, type Position, type SignedDocument, type Signer } from "@daicho/protocol";
import { newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { page, type Page } from "../../db/page.ts";
import type { Events } from "../../events.ts";
import type { ListQuery } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import type { Bookkeeping } from "./bookkeeping.ts";
import { poolingStore as store, type GrantRow, type PooledOrderRow, type TierRow } from "./store.ts";

export interface PriceTiers {
  readonly license: string;
  /** ISO 4217 */
  readonly currency: string;
  readonly tiers: readonly PriceTier[];
}

export interface GroupOrderShare {
  readonly company: string;
  readonly quantity: number;
  readonly amount: number;
  /** What it would have paid alone. */
  readonly alone: number;
  readonly saving: number;
  /** It has it in its books. */
  readonly booked: boolean;
}

export interface GroupOrder {
  /** Absent while it is only planned. */
  readonly order?: string;
  readonly period: string;
  readonly license: string;
  readonly quantity: number;
  readonly unitPrice: number;
  readonly amount: number;
  readonly currency: string;
  readonly alone: number;
  readonly saving: number;
  readonly at: string;
  readonly shares: readonly GroupOrderShare[];
}

export interface GroupOrders {
  readonly period: string;
  readonly dryRun: boolean;
  /** Those of the period, old and new ones. */
  readonly orders: readonly GroupOrder[];
  readonly skipped: readonly { readonly license: string; readonly reason: "price-unknown" | "amount-too-large" }[];
}

/** A company's corporate licence inventory as it is known here. */
export interface KnownCompany {
  readonly name: string;
  readonly version: number;
  readonly positions: readonly Position[];
}

export interface Pooling {
  tiers(query: ListQuery): Promise<Page<PriceTiers>>;
  tiersOf(license: string): Promise<PriceTiers | undefined>;
  /** @throws input-invalid */
  setTiers(tiers: PriceTiers): Promise<PriceTiers>;
  removeTiers(license: string): Promise<boolean>;
  /** Absent licences = all that have tiers. */
  order(options: {
    readonly period: string;
    readonly licenses?: readonly string[];
    readonly dryRun?: boolean;
  }): Promise<GroupOrders>;
  orders(query: ListQuery & { readonly period?: string; readonly license?: string }): Promise<Page<GroupOrder>>;
  /** What the company has not booked yet, signed. What it says it has is noted first. */
  fetch(company: string, held: { readonly after: string; readonly version: number }): Promise<SignedDocument>;
}

const perAnswer = 500;

export function createPooling(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly signer: () => Signer;
  /** This server's own company, where it is one. */
  readonly own: { readonly name: string; readonly books: Bookkeeping } | undefined;
  readonly companies: () => Promise<readonly KnownCompany[]>;
  /** Companies should look now; those that do not hear it look by themselves later. */
  readonly announce: () => void;
}): Pooling {
  const { db, clock, events, own } = deps;

  async function withShares(rows: readonly PooledOrderRow[]): Promise<GroupOrder[]> {
    const grants =
      rows.length === 0
        ? []
        : await store.grantsOf(
            db.kysely,
            rows.map((row) => row.id),
          );
    return rows.map((row) => orderOf(row, grants));
  }

  const order: Pooling["order"] = async ({ period, licenses, dryRun = false }) => {
    // Each inventory comes with its version: what was granted is open until that version has it. So it may be read before the lock.
    const companies = await deps.companies();
    const work = async (trx: Trx): Promise<GroupOrders> => {
      const there = new Map((await store.ordersOfPeriod(trx, period)).map((row) => [row.license, row]));
      const tiers = new Map((await store.tiers(trx).execute()).map((row) => [row.license, row]));
      const wanted = [...new Set(licenses ?? tiers.keys())].sort();
      const demands = demandOf(companies, await store.grantsByLicense(trx));
      // Ids must rise, whatever the clock does: companies fetch by them.
      const newest = await store.newestGrant(trx, db.dialect);
      const at = Math.max(clock.now(), newest === undefined ? 0 : timeOf(newest) + 1);
      const made: { row: PooledOrderRow; grants: readonly GrantRow[] }[] = [];
      const old: PooledOrderRow[] = [];
      const skipped: { license: string; reason: "price-unknown" | "amount-too-large" }[] = [];
      for (const license of wanted) {
        const before = there.get(license);
        const price = tiers.get(license);
        if (before !== undefined) old.push(before);
        else if (price === undefined) skipped.push({ license, reason: "price-unknown" });
        else {
          const asked = demands.get(license) ?? [];
          const pooled = poolOrders(asked, JSON.parse(price.tiers) as PriceTier[]);
          if (pooled === "amount-too-large") skipped.push({ license, reason: pooled });
          else if (pooled !== undefined) {
            const { shares, unitPrice, ...sums } = pooled;
            const id = newId(at);
            made.push({
              row: {
                ...{ id, period, license, at, currency: price.currency, unit_price: unitPrice, ...sums },
                order_no: `${period}/${license}`,
              },
              grants: shares.map((share) => ({
                ...share,
                id: "",
                order_id: id,
                metric: asked.find((demand) => demand.company === share.company)?.metric ?? "device",
                booked_version: null,
              })),
            });
          }
        }
      }
      const grants = numbered(
        made.flatMap((one) => one.grants),
        at,
      );
      const rows = made.map((one) => one.row);
      if (!dryRun && rows.length > 0) {
        for (const row of rows) await store.insertOrder(trx, row);
        for (let from = 0; from < grants.length; from += 500)
          await store.insertGrants(trx, grants.slice(from, from + 500));
        await bookOwn(trx, rows, grants);
      }
      const oldGrants =
        old.length === 0
          ? []
          : await store.grantsOf(
              trx,
              old.map((row) => row.id),
            );
      const orders = [
        ...old.map((row) => orderOf(row, oldGrants)),
        ...rows.map((row) => {
          const { order: number, ...rest } = orderOf(row, grants);
          return dryRun ? rest : { order: number as string, ...rest };
        }),
      ];
      return { period, dryRun, orders: orders.sort((a, b) => (a.license < b.license ? -1 : 1)), skipped };
    };
    if (dryRun) return db.snapshot(work);
    const done = await db.transaction(async (trx) => {
      await lockLedger(trx, db.dialect);
      return work(trx);
    });
    if (done.orders.length > 0) {
      deps.announce();
      events.emit("positions-changed", {});
    }
    return done;
  };

  async function bookOwn(trx: Trx, rows: readonly PooledOrderRow[], grants: GrantRow[]): Promise<void> {
    const mine = grants.filter((grant) => grant.company === own?.name);
    const last = mine[mine.length - 1];
    if (own === undefined || last === undefined) return;
    const byId = new Map(rows.map((row) => [row.id, row]));
    const { version } = await own.books.bookWithin(
      trx,
      mine.map((grant) => {
        const { period, license, unit_price, currency, order_no, at } = byId.get(grant.order_id) as PooledOrderRow;
        return companyOrder({ ...grant, period, license, unit_price, currency, order_no, at });
      }),
    );
    await store.setBooked(trx, db.dialect, own.name, last.id, version);
    for (const grant of mine) grant.booked_version = version;
  }

  return {
    async tiers(query) {
      const listed = await page(store.tiers(db.kysely), {
        dialect: db.dialect,
        query,
        fields: { license: { column: "pool_tiers.license" }, currency: { column: "pool_tiers.currency" } },
      });
      return { ...listed, rows: listed.rows.map(tiersOf) };
    },

    async tiersOf(license) {
      const row = await store.tiersOf(db.kysely, license);
      return row === undefined ? undefined : tiersOf(row);
    },

    async setTiers({ license, currency, tiers }) {
      const faults = tierFaults(tiers);
      if (faults.length > 0)
        throw inputInvalid(faults.map(({ place, reason }) => ({ path: `/tiers/${place}`, message: reason })));
      await store.saveTiers(db.kysely, {
        license,
        currency,
        tiers: JSON.stringify(tiers.map(({ from, unitPrice }) => ({ from, unitPrice }))),
        changed_at: clock.now(),
      });
      return { license, currency, tiers };
    },

    removeTiers: (license) => store.removeTiers(db.kysely, license),

    order,

    async orders(query) {
      let select = store.orders(db.kysely);
      if (query.period !== undefined) select = select.where("o.period", "=", query.period);
      if (query.license !== undefined) select = select.where("o.license", "=", query.license);
      const listed = await page(select, {
        dialect: db.dialect,
        query,
        fields: { order: { column: "o.order_no" }, period: { column: "o.period" }, license: { column: "o.license" } },
      });
      return { ...listed, rows: await withShares(listed.rows) };
    },

    fetch: (company, held) =>
      db.transaction(async (trx) => {
        await store.setBooked(trx, db.dialect, company, held.after, held.version);
        await store.setUnbooked(trx, db.dialect, company, held.after);
        const rows = await store.grantsAfter(trx, db.dialect, company, held.after, perAnswer);
        return signDocument(
          "company-orders/v1",
          JSON.stringify({ company, orders: rows.map(companyOrder) }),
          deps.signer(),
        );
      }),
  };
}

interface Demand {
  readonly company: string;
  readonly quantity: number;
  readonly metric: string;
}

/** Licence → who lacks how many, less what was granted and does not show in the inventory held here. */
function demandOf(
  companies: readonly KnownCompany[],
  granted: readonly { company: string; license: string; quantity: number; booked_version: number | null }[],
): ReadonlyMap<string, readonly Demand[]> {
  const versions = new Map(companies.map(({ name, version }) => [name, version]));
  const open = new Map<string, number>();
  for (const { company, license, quantity, booked_version: version } of granted)
    if (version === null || version > (versions.get(company) ?? -1)) {
      const key = JSON.stringify([company, license]);
      open.set(key, (open.get(key) ?? 0) + quantity);
    }
  const demands = new Map<string, Demand[]>();
  for (const { name, positions } of companies)
    for (const { license, metric, overUnder } of positions) {
      // What is never short is never below 0.
      const quantity = Math.max(0, -overUnder) - (open.get(JSON.stringify([name, license])) ?? 0);
      if (quantity <= 0) continue;
      const list = demands.get(license);
      const demand = { company: name, quantity, metric };
      if (list === undefined) demands.set(license, [demand]);
      else list.push(demand);
    }
  return demands;
}

/** The moment in an id: its first ten characters. */
function timeOf(id: string): number {
  return [...id.slice(0, 10)].reduce((time, digit) => time * 32 + "0123456789abcdefghjkmnpqrstvwxyz".indexOf(digit), 0);
}

/** Ids of one moment in the order given. */
function numbered(grants: readonly GrantRow[], at: number): GrantRow[] {
  const ids = grants.map(() => newId(at)).sort();
  return grants.map((grant, place) => ({ ...grant, id: ids[place] as string }));
}

function orderOf(row: PooledOrderRow, grants: readonly GrantRow[]): GroupOrder {
  return {
    order: row.order_no,
    period: row.period,
    license: row.license,
    quantity: row.quantity,
    unitPrice: row.unit_price,
    amount: row.amount,
    currency: row.currency,
    alone: row.alone,
    saving: row.saving,
    at: new Date(row.at).toISOString(),
    shares: grants
      .filter((grant) => grant.order_id === row.id)
      .map(({ company, quantity, amount, alone, saving, booked_version: version }) => ({
        ...{ company, quantity, amount, alone, saving, booked: version !== null },
      })),
  };
}

function companyOrder(grant: {
  readonly id: string;
  readonly order_no: string;
  readonly period: string;
  readonly license: string;
  readonly metric: string;
  readonly quantity: number;
  readonly unit_price: number;
  readonly amount: number;
  readonly currency: string;
  readonly at: number;
}): CompanyOrder {
  const { id, order_no: order, period, license, metric, quantity, unit_price: unitPrice, amount, currency } = grant;
  return {
    id,
    order,
    period,
    license,
    metric,
    quantity,
    unitPrice,
    amount,
    currency,
    at: new Date(grant.at).toISOString(),
  };
}

function tiersOf({ license, currency, tiers }: TierRow): PriceTiers {
  return { license, currency, tiers: JSON.parse(tiers) as PriceTier[] };
}
