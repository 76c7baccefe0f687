/** Purpose: the hand-over list, and what organisation changes read and write of devices, as rows; one query per method. */
import type { Kysely } from "kysely";
import type { Database, Trx } from "../../../db/database.ts";
import { integer, text, type BulkValue, type DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";

type Db = Kysely<Schema> | Trx;

export const handOverStore = {
  ofEmployees: (db: Db, dialect: DialectName, employees: readonly number[]) =>
    devices(db)
      .where(inSet(dialect, "dev_devices.employee", employees))
      .execute(),

  managedBy: (db: Db, dialect: DialectName, departments: readonly number[]) =>
    devices(db)
      .where(inSet(dialect, "dev_devices.department", departments))
      .execute(),

  byId: (db: Db, dialect: DialectName, ids: readonly string[]) =>
    devices(db)
      .where(inSet(dialect, "dev_devices.id", ids))
      .execute(),

  /** ordinal, employee, department */
  assign: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.update(
      trx,
      { table: "dev_devices", keys: [integer("ordinal")], set: [integer("employee"), integer("department")] },
      rows,
    ),

  /** id, device, employee, since */
  open: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.insert(
      trx,
      {
        table: "dev_handovers",
        columns: [text("id"), integer("device"), integer("employee"), integer("since")],
      },
      rows,
    ),

  /** With the device's id. */
  find: (trx: Trx, id: string) => entries(trx).select(["h.device", "h.done_at", "v.id"]).where("h.id", "=", id).executeTakeFirst(), // prettier-ignore

  openOf: (db: Db, dialect: DialectName, handedOver: readonly number[]) =>
    db
      .selectFrom("dev_handovers")
      .select(["id", "device"])
      .where(inSet(dialect, "dev_handovers.device", handedOver))
      .where("done_at", "is", null)
      .execute(),

  /** id, done_at, done_to */
  close: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.update(
      trx,
      { table: "dev_handovers", keys: [text("id")], set: [integer("done_at"), text("done_to")] },
      rows,
    ),

  list: (db: Db) =>
    entries(db)
      .innerJoin("org_employees as e", "e.ordinal", "h.employee")
      .leftJoin("org_departments as d", "d.ordinal", "v.department")
      .select([
        "h.id",
        "v.id as device",
        "v.hostname",
        "e.id as employee",
        "e.name as employee_name",
        "d.code as department",
        "h.since",
        "h.done_at",
        "h.done_to",
      ]),
};

/** Entries of devices that are there. An open one of a device that is disposed of or merged into another waits for its return. */
function entries(db: Db) {
  return db
    .selectFrom("dev_handovers as h")
    .innerJoin("dev_devices as v", "v.ordinal", "h.device")
    .where((eb) =>
      eb.or([
        eb("h.done_at", "is not", null),
        eb.and([eb("v.state", "<>", "disposed"), eb("v.merged_into", "is", null)]),
      ]),
    );
}

function devices(db: Db) {
  return db.selectFrom("dev_devices").select(["ordinal", "id", "employee", "department"]);
}
