/**
 * Purpose: day-one data from CSV files (contract.md): departments, employees, devices, entitlements, rights, allocations.
 * Invariants: all or nothing, in one transaction; the file is read and checked before the transaction begins; what is there already is updated, and
 * importing the same file again changes nothing; one file at a time. A dry run does everything and takes it back.
 */
import type { Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import { RolledBack, rowFaults, type RowFault, type WriteResult } from "../../rows.ts";
import type { DeviceInput, Devices } from "../devices/index.ts";
import type { AllocationInput, Allocations, Entitlements, Rights, RightsInput } from "../licenses/index.ts";
import type { DepartmentInput, EmployeeInput, Organization } from "../organization/index.ts";
import {
  allocationColumns,
  departmentColumns,
  deviceColumns,
  employeeColumns,
  entitlementColumns,
  rightsColumns,
} from "./columns.ts";
import { decodeText, type Encoding } from "./decode.ts";
import { maxFaults, readTable, type ImportFault, type TableSpec } from "./table.ts";

export const importKinds = ["departments", "employees", "devices", "entitlements", "rights", "allocations"] as const;
export type ImportKind = (typeof importKinds)[number];

export interface ImportResult {
  readonly kind: ImportKind;
  readonly dryRun: boolean;
  readonly rows: number;
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly faults: readonly ImportFault[];
  /** Worth a look, but no reason to refuse: managers that nobody is (yet). */
  readonly warnings: readonly ImportFault[];
}

export interface Imports {
  /** @throws import-invalid with the faults, and nothing written */
  run(
    kind: ImportKind,
    bytes: Buffer,
    options?: { readonly encoding?: Encoding; readonly dryRun?: boolean },
  ): Promise<ImportResult>;
}

type Rows = readonly Readonly<Record<string, unknown>>[];
interface Kind {
  readonly spec: TableSpec;
  write(trx: Trx, rows: Rows, at: number): Promise<WriteResult>;
}

export function createImports(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly organization: Organization;
  readonly devices: Devices;
  readonly entitlements: Entitlements;
  readonly rights: Rights;
  readonly allocations: Allocations;
}): Imports {
  const { db, clock, events, organization, devices, entitlements, rights, allocations } = deps;
  const mode = "upsert";
  const kinds: Readonly<Record<ImportKind, Kind>> = {
    departments: {
      spec: departmentColumns,
      write: (trx, rows, at) => organization.writeDepartments(trx, rows as unknown as DepartmentInput[], { mode, at }),
    },
    employees: {
      spec: employeeColumns,
      write: (trx, rows, at) => organization.writeEmployees(trx, rows as unknown as EmployeeInput[], { mode, at }),
    },
    devices: {
      spec: deviceColumns,
      write: (trx, rows, at) =>
        devices.writeDevices(trx, rows as unknown as DeviceInput[], { mode, at, origin: "csv" }),
    },
    entitlements: {
      spec: entitlementColumns,
      write: (trx, rows, at) => entitlements.write(trx, rows, { mode, at }),
    },
    rights: {
      spec: rightsColumns,
      write: (trx, rows, at) => rights.write(trx, rows as unknown as RightsInput[], { at }),
    },
    allocations: {
      spec: allocationColumns,
      write: (trx, rows, at) => allocations.write(trx, rows as unknown as AllocationInput[], { at }),
    },
  };

  const run: Imports["run"] = async (kind, bytes, options = {}) => {
    const { encoding = "utf-8", dryRun = false } = options;
    const decoded = await decodeText(bytes, encoding);
    if (!decoded.ok)
      throw importInvalid(
        decoded.lines.map((line) => ({
          line,
          code: "bytes-undecodable" as const,
          message: rowFaults.make("bytes-undecodable", { encoding }).message,
        })),
      );
    const table = await readTable(decoded.text, kinds[kind].spec);
    if (table.faults.length > 0) throw importInvalid(table.faults);
    const written = await db
      .transaction(async (trx) => {
        const result = await kinds[kind].write(trx, table.rows, clock.now());
        if (dryRun || result.faults.length > 0) throw new RolledBack(result);
        return result;
      })
      .catch((error: unknown) => {
        if (error instanceof RolledBack) return error.result;
        throw error;
      });
    if (written.faults.length > 0) throw importInvalid(inLines(written.faults, table.lines));
    if (!dryRun && written.created + written.updated > 0) {
      events.emit("positions-changed", {});
      if (kind === "devices" || kind === "employees") events.emit("devices-changed", {});
    }
    const { created, updated, unchanged } = written;
    return {
      kind,
      dryRun,
      rows: table.rows.length,
      created,
      updated,
      unchanged,
      faults: [],
      warnings: inLines(written.warnings, table.lines),
    };
  };

  // Files are large: a second one waits until the first is done.
  let turn: Promise<unknown> = Promise.resolve();
  return {
    run(kind, bytes, options) {
      const mine = turn.then(() => run(kind, bytes, options));
      turn = mine.catch(() => undefined);
      return mine;
    },
  };
}

function inLines(faults: readonly RowFault[], lines: readonly number[]): ImportFault[] {
  return faults
    .map((f) => ({ line: lines[f.row] ?? 0, column: f.field, code: f.code, message: f.message }))
    .sort((a, b) => a.line - b.line)
    .slice(0, maxFaults);
}

function importInvalid(faults: readonly ImportFault[]): Error {
  const [first] = faults;
  const where =
    first === undefined
      ? ""
      : `line ${first.line}${first.column === undefined ? "" : `, column ${first.column}`}: ${first.message}`;
  return Object.assign(serverErrors.make("import-invalid", { count: faults.length, first: where }), {
    faults: faults.map((f) => ({ path: `${f.line}${f.column === undefined ? "" : `:${f.column}`}`, ...f })),
  });
}
