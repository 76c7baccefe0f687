/**
 * Purpose: the hardware ledger for the API, for imports and for the organisation: devices with whom they belong to, what reported them and what
 * they use.
 * Invariants: lists are read in pages and put together device by device with breaths between, so that one long list holds up no report.
 */
import type { Clock } from "@daicho/kernel";
import { childrenOf, subtree, unassigned } from "@daicho/licensing";
import type { Hardware, RecognizedCode, Title } from "@daicho/protocol";
import type { Database, Trx } from "../../db/database.ts";
import { inSet } from "../../db/sets.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import { decodeCursor, encodeCursor, type ListQuery } from "../../http/list.ts";
import { page, type Page } from "../../db/page.ts";
import { inputInvalid } from "../../http/problem.ts";
import { errorOfRow, type WriteMode } from "../../rows.ts";
import { breathe, eachInTurn, slicesOf } from "../../slices.ts";
import type { EmployeeDevices } from "../organization/index.ts";
import type { DeviceFacts, DeviceReport, LicenseUse } from "./facts.ts";
import { deviceStore as store } from "./store.ts";
import { holdDevices, moveUsed, writeDevices, type Counting, type DeviceInput, type DevicesWritten } from "./write.ts";
import { iso } from "../../times.ts";

export interface Device {
  readonly id: string;
  readonly hostname?: string;
  readonly serial?: string;
  readonly state?: string;
  readonly employee?: string;
  readonly department?: string;
  /** Department its licences count for: the user's, else the managing one, else `unassigned`. */
  readonly countsFor?: string;
  readonly manager?: string;
  readonly origin?: string;
  /** The device whose copied key it reported with before it enrolled anew. */
  readonly splitFrom?: string;
  readonly lastSeenAt?: string;
  readonly scannedAt?: string;
  readonly hardware?: Hardware;
  readonly software?: readonly Title[];
  readonly codes?: readonly RecognizedCode[];
  readonly licenses?: readonly (Omit<LicenseUse, "since"> & { readonly since: string })[];
  readonly scan?: NonNullable<DeviceReport["scan"]>;
}

/** What a list shows unless told otherwise; the others are for `fields`, because each has to be unpacked. */
export const listedFields = [
  "id",
  "hostname",
  "serial",
  "state",
  "employee",
  "department",
  "countsFor",
  "manager",
  "origin",
  "splitFrom",
  "lastSeenAt",
  "hardware",
  "licenses",
] as const;
export const deviceFields = [...listedFields, "scannedAt", "software", "codes", "scan"] as const;
export type DeviceField = (typeof deviceFields)[number];
const fromReport: readonly DeviceField[] = ["software", "codes", "scan", "scannedAt"];

export interface DeviceFilter {
  readonly id?: string;
  readonly hostname?: string;
  readonly serial?: string;
  readonly state?: string;
  readonly employee?: string;
  readonly department?: string;
  readonly manager?: string;
  readonly countsFor?: string;
  /** Devices that count for this department or one below it. */
  readonly under?: string;
  readonly license?: string;
  /** Name of a title found on the device. */
  readonly software?: string;
  /** Fields to show, with commas between. */
  readonly fields?: string;
}

export interface Devices extends EmployeeDevices {
  list(query: ListQuery & DeviceFilter): Promise<Page<Device>>;
  device(id: string): Promise<Device | undefined>;
  save(input: DeviceInput, mode: WriteMode): Promise<{ readonly created: boolean; readonly saved: Device }>;
  /** For imports, inside their transaction. */
  writeDevices(
    trx: Trx,
    rows: readonly DeviceInput[],
    options: { mode: WriteMode; at: number; origin: "csv" | "api" },
  ): Promise<DevicesWritten>;
}

/** Members of a set that are looked up together. */
const atOnce = 1000;

type Listed = Awaited<ReturnType<ReturnType<typeof store.list>["execute"]>>[number];

export function createDevices(
  deps: {
    readonly db: Database;
    readonly clock: Clock;
    readonly events: Events;
    readonly facts: DeviceFacts;
  } & Counting,
): Devices {
  const { db, clock, events, facts } = deps;

  const shown = async (rows: readonly Listed[], fields: ReadonlySet<DeviceField>): Promise<Device[]> => {
    const needsReport = fromReport.some((field) => fields.has(field));
    const out: Device[] = [];
    for await (const slice of slicesOf(rows, 200)) {
      const ordinals = slice.map((row) => row.ordinal);
      const seen = fields.has("lastSeenAt") ? await facts.lastSeenOf(ordinals) : undefined;
      const hardware = fields.has("hardware") ? await facts.hardwareOf(ordinals) : undefined;
      const licenses = fields.has("licenses") ? await facts.licensesOf(ordinals) : undefined;
      await eachInTurn(slice, async (row) => {
        const { ordinal } = row;
        const report = needsReport ? await facts.factsOf(ordinal) : undefined;
        const told = { seen: seen?.get(ordinal), hardware: hardware?.get(ordinal), report };
        out.push(select(deviceOf(row, { ...told, licenses: licenses?.get(ordinal) ?? [] }), fields));
      });
    }
    return out;
  };

  const filtered = async (query: DeviceFilter) => {
    let select = store.list(db.kysely).where("v.merged_into", "is", null);
    if (query.id !== undefined) select = select.where("v.id", "=", query.id);
    if (query.hostname !== undefined) select = select.where("v.hostname", "=", query.hostname);
    if (query.serial !== undefined) select = select.where("v.serial", "=", query.serial);
    if (query.state !== undefined) select = select.where("v.state", "=", query.state);
    if (query.employee !== undefined) select = select.where("e.id", "=", query.employee);
    if (query.department !== undefined) select = select.where("d.code", "=", query.department);
    if (query.manager !== undefined) select = select.where("v.manager", "=", query.manager);
    if (query.countsFor === unassigned) select = select.where("c.code", "is", null);
    else if (query.countsFor !== undefined) select = select.where("c.code", "=", query.countsFor);
    if (query.under !== undefined) select = select.where(inSet(db.dialect, "c.ordinal", await below(query.under)));
    return select;
  };

  const below = async (code: string): Promise<readonly number[]> => {
    const all = await store.departmentTree(db.kysely);
    const root = all.find((d) => d.code === code);
    if (root === undefined) throw serverErrors.make("not-found", { what: "department", id: code });
    return subtree(childrenOf(new Map(all.map((d) => [d.ordinal, d.parent]))), root.ordinal);
  };

  /** Devices of a set (who has this licence, this title), in ledger order: the set is walked, the other filters sift it. */
  const members = async (query: ListQuery & DeviceFilter): Promise<Page<Listed>> => {
    if (query.sort !== undefined)
      throw inputInvalid([{ path: "querystring/sort", message: "cannot be combined with license or software" }]);
    const start = query.cursor === undefined ? [0] : decodeCursor(query.cursor);
    if (start?.length !== 1 || typeof start[0] !== "number" || !Number.isSafeInteger(start[0]))
      throw inputInvalid([{ path: "querystring/cursor", message: "is not a cursor of this list and this order" }]);
    const limit = query.limit ?? 100;
    const rows: Listed[] = [];
    // Where nothing else sifts the set, what a page shows is all that has to be looked at.
    for (let after = start[0], size = Math.min(limit + 1, atOnce); ; size = atOnce) {
      const chunk =
        query.license !== undefined
          ? await facts.withLicense(query.license, after, size)
          : await facts.withTitle(query.software ?? "", after, size);
      const last = chunk[chunk.length - 1];
      if (last === undefined) return { rows };
      let wanted = chunk;
      if (query.license !== undefined && query.software !== undefined) {
        const both = new Set(await facts.withTitle(query.software, after, last - after));
        wanted = chunk.filter((device) => both.has(device));
      }
      const found = await (
        await filtered(query)
      )
        .where(inSet(db.dialect, "v.ordinal", wanted))
        .orderBy("v.ordinal")
        .limit(limit - rows.length + 1)
        .execute();
      rows.push(...found);
      if (rows.length > limit) {
        const kept = rows.slice(0, limit);
        return { rows: kept, nextCursor: encodeCursor([kept[kept.length - 1]?.ordinal ?? 0]) };
      }
      after = last;
      await breathe();
    }
  };

  const device = async (id: string): Promise<Device | undefined> => {
    const row = await store.list(db.kysely).where("v.id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : (await shown([row], new Set(deviceFields)))[0];
  };

  return {
    device,

    async list(query) {
      const fields = fieldsOf(query.fields);
      const found =
        query.license !== undefined || query.software !== undefined
          ? await members(query)
          : await page(await filtered(query), {
              dialect: db.dialect,
              query,
              fields: {
                id: { column: "v.id" },
                hostname: { column: "v.hostname" },
                serial: { column: "v.serial", nullable: true },
                state: { column: "v.state" },
                employee: { column: "e.id", nullable: true },
                department: { column: "d.code", nullable: true },
                countsFor: { column: "c.code", nullable: true },
              },
            });
      return { ...found, rows: await shown(found.rows, fields) };
    },

    async save(input, mode) {
      const result = await db.transaction(async (trx) => {
        const written = await writeDevices(db, deps, trx, [input], { mode, at: clock.now(), origin: "api" });
        if (written.faults[0] !== undefined) throw errorOfRow(written.faults[0], "device", input.id);
        return written;
      });
      if (result.unchanged === 0) events.emit("devices-changed", {});
      if (result.moved > 0) events.emit("positions-changed", {});
      return { created: result.created === 1, saved: (await device(input.id)) as Device };
    },

    writeDevices: (trx, rows, options) => writeDevices(db, deps, trx, rows, options),

    async hold(trx, employees) {
      const devices = await store.ofEmployees(trx, db.dialect, employees);
      devices.sort((a, b) => a - b);
      await holdDevices(db, deps, trx, devices);
      return devices;
    },

    moved: (trx, devices, at, cause = "moved") => moveUsed(db, deps, trx, devices, at, cause),
  };
}

/** @throws input-invalid */
function fieldsOf(text: string | undefined): ReadonlySet<DeviceField> {
  if (text === undefined) return new Set(listedFields);
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !(deviceFields as readonly string[]).includes(name));
  if (unknown.length > 0)
    throw inputInvalid([{ path: "querystring/fields", message: `can name ${deviceFields.join(", ")}` }]);
  return new Set(["id", ...(names as DeviceField[])]);
}

function deviceOf(
  row: Listed,
  told: {
    readonly seen: number | undefined;
    readonly hardware: Hardware | undefined;
    readonly report: DeviceReport | undefined;
    readonly licenses: readonly LicenseUse[];
  },
): Device {
  const { seen, hardware, report, licenses } = told;
  return {
    id: row.id,
    hostname: row.hostname,
    ...(row.serial !== null && { serial: row.serial }),
    state: row.state,
    ...(row.employee !== null && { employee: row.employee }),
    ...(row.department !== null && { department: row.department }),
    countsFor: row.counts_for ?? unassigned,
    ...(row.manager !== null && { manager: row.manager }),
    origin: row.origin,
    ...(row.split_from !== null && { splitFrom: row.split_from }),
    ...(seen !== undefined && { lastSeenAt: iso(seen) }),
    ...(hardware !== undefined && { hardware }),
    ...(report !== undefined && {
      scannedAt: report.scannedAt,
      software: report.software,
      codes: report.codes,
      ...(report.scan !== undefined && { scan: report.scan }),
    }),
    licenses: licenses.map((l) => ({ ...l, since: iso(l.since) })),
  };
}

function select(device: Device, fields: ReadonlySet<DeviceField>): Device {
  return Object.fromEntries(
    Object.entries(device).filter(([name]) => fields.has(name as DeviceField)),
  ) as unknown as Device;
}
