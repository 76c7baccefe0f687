/** Purpose: the licence repository and its counters as rows; one query per method. */
import { metricBought } from "@daicho/licensing";
import type { Metric } from "@daicho/protocol";
import { sql, type Kysely } from "kysely";
import type { Database, Trx } from "../../../db/database.ts";
import { among } from "../../../db/sets.ts";
import { blob, integer, text, type DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";

type Db = Kysely<Schema> | Trx;

export interface OpenInterval {
  readonly device: number;
  readonly since: number;
  readonly employee: number | null;
  readonly department: number;
  readonly licenses: Buffer;
  readonly cause: number;
}
export interface ClosedInterval extends OpenInterval {
  readonly until: number;
  readonly closed: number;
}

const interval = [
  integer("device"),
  integer("since"),
  integer("employee"),
  integer("department"),
  blob("licenses"),
  integer("cause"),
] as const;
const cells = (row: OpenInterval) =>
  [row.device, row.since, row.employee, row.department, row.licenses, row.cause] as const;

export const repositoryStore = {
  licenses: (db: Db) =>
    db.selectFrom("lic_licenses").select(["ordinal", "code", "name", "metric", "managed", "base", "class"]).execute(),

  ordinals: (db: Db, codes: readonly string[]) =>
    db
      .selectFrom("lic_licenses")
      .select(["ordinal", "code"])
      .where(among(db, "code", codes))
      .execute(),

  /** Of these licences, or of all. */
  async metrics(db: Db, ordinals?: readonly number[]): Promise<ReadonlyMap<number, string>> {
    let query = db.selectFrom("lic_licenses").select(["ordinal", "metric"]);
    if (ordinals !== undefined) query = query.where(among(db, "ordinal", ordinals));
    return new Map((await query.execute()).map((row) => [row.ordinal, row.metric]));
  },

  addLicenses: (db: Database, trx: Trx, rows: readonly { code: string; name: string; metric: string }[]) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_licenses",
        columns: [text("code"), text("name"), text("metric")],
        conflict: ["code"],
      },
      rows.map((row) => [row.code, row.name, row.metric]),
    ),

  addVariants: (
    db: Database,
    trx: Trx,
    rows: readonly { code: string; name: string; metric: string; base: number; class: string }[],
  ) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_licenses",
        columns: [text("code"), text("name"), text("metric"), integer("managed"), integer("base"), text("class")],
        conflict: ["code"],
      },
      rows.map((row) => [row.code, row.name, row.metric, 0, row.base, row.class]),
    ),

  setMetrics: (db: Database, trx: Trx, rows: readonly { ordinal: number; metric: string }[]) =>
    db.bulk.update(
      trx,
      { table: "lic_licenses", keys: [integer("ordinal")], set: [text("metric")] },
      rows.map((row) => [row.ordinal, row.metric]),
    ),

  upsertLicenses: (db: Database, trx: Trx, rows: readonly { code: string; name: string; metric: string }[]) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_licenses",
        columns: [text("code"), text("name"), text("metric"), integer("managed")],
        conflict: ["code"],
        update: { name: "replace", metric: "replace", managed: "replace" },
      },
      rows.map((row) => [row.code, row.name, row.metric, 1]),
    ),

  keepLicenses: (
    db: Database,
    trx: Trx,
    rows: readonly { ordinal: number; name: string; metric: string; managed: number }[],
    until: number,
  ) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_license_history",
        columns: [integer("license"), text("name"), text("metric"), integer("managed"), integer("until")],
      },
      rows.map((row) => [row.ordinal, row.name, row.metric, row.managed, until]),
    ),

  /** Licences of which something was bought (and the record not removed), with the metric that this says. */
  async bought(db: Db): Promise<ReadonlyMap<number, Metric>> {
    const rows = await db
      .selectFrom("lic_entitlements")
      .select(["license", "metric", (eb) => eb.fn.max(eb.fn.coalesce("purchased_at", "created_at")).as("at")])
      .where("replaced_at", "is", null)
      .groupBy(["license", "metric"])
      .execute();
    const all = new Map<number, { metric: Metric; at: number }[]>();
    for (const { license, metric, at } of rows) {
      const list = all.get(license) ?? [];
      list.push({ metric: metric as Metric, at: Number(at) });
      all.set(license, list);
    }
    return new Map([...all].map(([license, list]) => [license, metricBought(list) as Metric]));
  },

  async setManaged(trx: Trx, licenses: readonly number[], managed: number): Promise<void> {
    if (licenses.length > 0)
      await trx.updateTable("lic_licenses").set({ managed }).where("ordinal", "in", licenses).execute();
  },

  /** `lock`: held until the transaction ends (a no-op on SQLite, which has one writer). */
  async open(db: Db, devices: readonly number[], lock: DialectName | undefined): Promise<Map<number, OpenInterval>> {
    if (devices.length === 0) return new Map();
    let query = db
      .selectFrom("lic_repository")
      .selectAll()
      .where(among(db, "device", devices))
      .orderBy("device");
    if (lock === "postgres") query = query.forUpdate();
    return new Map((await query.execute()).map((row) => [row.device, row]));
  },

  openAfter: (db: Db, device: number, limit: number) =>
    db.selectFrom("lic_repository").selectAll().where("device", ">", device).orderBy("device").limit(limit).execute(),

  packedAfter: (db: Db, device: number, limit: number) =>
    db
      .selectFrom("lic_repository")
      .select(["device", "licenses"])
      .where("device", ">", device)
      .orderBy("device")
      .limit(limit)
      .execute(),

  close: (db: Database, trx: Trx, rows: readonly ClosedInterval[]) =>
    db.bulk.insert(
      trx,
      { table: "lic_history", columns: [...interval, integer("until"), integer("closed")] },
      rows.map((row) => [...cells(row), row.until, row.closed]),
    ),

  openAll: (db: Database, trx: Trx, rows: readonly OpenInterval[]) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_repository",
        columns: interval,
        conflict: ["device"],
        update: {
          since: "replace",
          employee: "replace",
          department: "replace",
          licenses: "replace",
          cause: "replace",
        },
      },
      rows.map(cells),
    ),

  async remove(trx: Trx, devices: readonly number[]): Promise<void> {
    if (devices.length > 0) await trx.deleteFrom("lic_repository").where("device", "in", devices).execute();
  },

  addUsage: (db: Database, trx: Trx, rows: readonly { department: number; license: number; change: number }[]) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_usage",
        columns: [integer("department"), integer("license"), integer("used")],
        conflict: ["department", "license"],
        update: { used: "add" },
      },
      rows.map((row) => [row.department, row.license, row.change]),
    ),

  /** SQLite's transactions exclude each other anyway. */
  async lockUserUsage(trx: Trx, dialect: DialectName): Promise<void> {
    if (dialect === "postgres") await sql`select pg_advisory_xact_lock(7400, 2)`.execute(trx);
  },

  async userUsage(
    trx: Trx,
    dialect: DialectName,
    keys: readonly { employee: number; department: number; license: number }[],
  ): Promise<Map<string, number>> {
    const out = new Map<string, number>();
    const employees = [...new Set(keys.map((key) => key.employee))].sort((a, b) => a - b);
    for (let at = 0; at < employees.length; at += 5000) {
      let query = trx
        .selectFrom("lic_user_usage")
        .selectAll()
        .where(among(trx, "employee", employees.slice(at, at + 5000)));
      if (dialect === "postgres")
        query = query.orderBy("employee").orderBy("department").orderBy("license").forUpdate();
      for (const row of await query.execute()) out.set(`${row.employee}:${row.department}:${row.license}`, row.devices);
    }
    return out;
  },

  async addUserUsage(
    db: Database,
    trx: Trx,
    rows: readonly { employee: number; department: number; license: number; change: number }[],
  ): Promise<void> {
    if (rows.length === 0) return;
    const sorted = [...rows].sort(
      (a, b) => a.employee - b.employee || a.department - b.department || a.license - b.license,
    );
    await db.bulk.insert(
      trx,
      {
        table: "lic_user_usage",
        columns: [integer("employee"), integer("department"), integer("license"), integer("devices")],
        conflict: ["employee", "department", "license"],
        update: { devices: "add" },
      },
      sorted.map((row) => [row.employee, row.department, row.license, row.change]),
    );
  },

  async clearUsage(trx: Trx): Promise<void> {
    await trx.deleteFrom("lic_usage").execute();
    await trx.deleteFrom("lic_user_usage").execute();
  },
};
