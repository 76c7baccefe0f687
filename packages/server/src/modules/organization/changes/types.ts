/**
 * Purpose: the words of organisation changes (domain.md §6, contract.md `/org-changes`): what can be asked for, what came of it, and what this
 * context asks of those that own devices, rights and whatever else names a department.
 */
import type { Cause, RightsMove } from "@daicho/licensing";
import type { Trx } from "../../../db/database.ts";
import type { RowFaultCode } from "../../../rows.ts";

export const orgChangeTypes = ["hire", "move", "leave", "rename", "merge", "split", "dissolve"] as const;
export type OrgChangeType = (typeof orgChangeTypes)[number];

export interface HiredPerson {
  readonly id: string;
  readonly name?: string;
  readonly mail?: string | null;
  /** Department code; absent for someone who returns = the former one. */
  readonly department?: string | null;
  readonly title?: string | null;
  readonly manager?: string | null;
}

/** People by id, one or many. */
interface People {
  readonly employee?: string;
  readonly employees?: readonly string[];
}

export interface HireChange extends Omit<HiredPerson, "id"> {
  readonly type: "hire";
  readonly employee: string | HiredPerson;
  /** Another word for `department`. */
  readonly to?: string | null;
}
export interface MoveChange extends People {
  readonly type: "move";
  /** Instead of people: this department, which then lies below `to`. */
  readonly department?: string;
  /** Department code; `unassigned` or null: none. */
  readonly to: string | null;
  /**
   * People take rights along: for each licence as many as they use, at most what their department has; and what a split would take: their part of what
   * is required, and their open applications.
   */
  readonly withRights?: boolean;
}
export interface LeaveChange extends People {
  readonly type: "leave";
}
export interface RenameChange {
  readonly type: "rename";
  readonly department: string;
  readonly name?: string;
  /** New code; `to` says the same. */
  readonly code?: string;
  readonly to?: string;
}
export interface MergeChange {
  readonly type: "merge";
  readonly department?: string;
  readonly departments?: readonly string[];
  readonly to: string;
  /** Where `to` is a new code: its name. */
  readonly name?: string;
}
export interface SplitChange {
  readonly type: "split";
  readonly department: string;
  /** A new code, with `name`, or a department that is there. */
  readonly to: string;
  readonly name?: string;
  readonly employees?: readonly string[];
  readonly devices?: readonly string[];
  /** Codes of departments directly below it that go along. */
  readonly children?: readonly string[];
  /**
   * Rights that go along; absent = for each licence as many as go along of what is used, at most what it has. `required` goes as said, else as its use
   * is divided, or the people where nothing is in use yet.
   */
  readonly rights?: readonly { readonly license: string; readonly rights: number; readonly required?: number }[];
  /** Open applications that go along, with what they still request; absent = those of the employees who go along. */
  readonly applications?: readonly string[];
}
export interface DissolveChange {
  readonly type: "dissolve";
  readonly department: string;
  /** Who takes over; absent = the department above. */
  readonly to?: string;
}
export type OrgChange =
  HireChange | MoveChange | LeaveChange | RenameChange | MergeChange | SplitChange | DissolveChange;

/** What is wrong with a change, or worth a look; `path` is a JSON pointer into the request: `/changes/3/to`. */
export interface OrgFault {
  readonly path: string;
  readonly code: RowFaultCode | "manager-left";
  readonly message: string;
}

export interface BeforeAfter {
  readonly before: number;
  readonly after: number;
}

/** What a change did, or would do. Departments by the codes they have afterwards; `unassigned` for none. */
export interface OrgOutcome {
  readonly departments: readonly {
    readonly department: string;
    readonly change: "created" | "changed" | "dissolved";
    /** Its code before, where that changed. */
    readonly formerly?: string;
    readonly name: string;
    readonly parent?: string;
    /** Who took over. */
    readonly into?: string;
  }[];
  readonly employees: readonly {
    readonly employee: string;
    readonly change: "hired" | "moved" | "left";
    readonly from?: string;
    readonly to?: string;
    readonly devices: number;
  }[];
  /** Devices that count for another department now. */
  readonly devices: readonly { readonly device: string; readonly from: string; readonly to: string }[];
  /** Departments and licences of which a number changed. */
  readonly positions: readonly {
    readonly department: string;
    readonly license: string;
    readonly used: BeforeAfter;
    readonly rights: BeforeAfter;
    readonly required: BeforeAfter;
    readonly requested: BeforeAfter;
  }[];
  /** Open applications that belong to another department now. */
  readonly applications: readonly { readonly application: string; readonly from: string; readonly to: string }[];
  /** What was set aside for people who leave, and is free again. */
  readonly allocations: readonly {
    readonly employee: string;
    readonly license: string;
    readonly quantity: number;
  }[];
  /** Entries of the hand-over list that came of it. */
  readonly handOvers: readonly { readonly device: string; readonly employee: string; readonly department: string }[];
  readonly warnings: readonly OrgFault[];
}

export interface OrgChanges {
  /**
   * Applies the changes in their order, each seeing the ones before. Takes the ledger's lock; call it as the first in its transaction.
   * @throws org-change-invalid with `faults`; the caller's transaction must then be rolled back, which throwing on does.
   */
  apply(
    trx: Trx,
    changes: readonly OrgChange[],
    options: { readonly at: number; readonly by: string },
  ): Promise<OrgOutcome>;
}

/** Why used moved; the licence repository keeps it with the interval. */
export type MoveCause = Extract<Cause, "moved" | "reorganized" | "handover">;

export interface OrgDevice {
  readonly ordinal: number;
  readonly id: string;
  readonly employee: number | null;
  readonly department: number | null;
}

/** Implemented by modules/devices. */
export interface OrgDevices {
  ofEmployees(trx: Trx, employees: readonly number[]): Promise<readonly OrgDevice[]>;
  managedBy(trx: Trx, departments: readonly number[]): Promise<readonly OrgDevice[]>;
  byId(trx: Trx, ids: readonly string[]): Promise<readonly OrgDevice[]>;
  /** Nobody else counts for these devices, or counts at all, until the transaction ends. Ordinals ascending. */
  hold(trx: Trx, devices: readonly number[]): Promise<void>;
  assign(
    trx: Trx,
    devices: readonly {
      readonly ordinal: number;
      readonly employee: number | null;
      readonly department: number | null;
    }[],
  ): Promise<void>;
  /** Puts devices (without a user by now) on the hand-over list. */
  handOver(
    trx: Trx,
    entries: readonly { readonly device: number; readonly employee: number }[],
    at: number,
  ): Promise<void>;
  /** Moves what the devices use to whom they count for now. */
  moved(trx: Trx, devices: readonly number[], at: number, cause: MoveCause): Promise<void>;
}

export interface OrgRightsRow {
  readonly department: number;
  readonly license: number;
  readonly rights: number;
  readonly required: number;
  readonly requested: number;
}

export interface OrgUsedRow {
  readonly department: number;
  readonly license: number;
  readonly used: number;
}

export interface OrgApplication {
  readonly id: string;
  readonly department: number;
  readonly license: number;
  /** Employee id. */
  readonly applicant: string | null;
  /** Approved and not granted: this much of the department's requested is its. */
  readonly outstanding: number;
}

/** Implemented by modules/applications. */
export interface OrgApplications {
  /** Pending ones, and approved ones that are not granted. */
  openOf(trx: Trx, departments: readonly number[]): Promise<readonly OrgApplication[]>;
  /** These belong to another department from now on; its requested is the caller's to move. */
  hand(trx: Trx, applications: readonly string[], department: number): Promise<void>;
}

/** Implemented by modules/licenses. */
export interface OrgLicenses {
  rights(trx: Trx, departments: readonly number[]): Promise<readonly OrgRightsRow[]>;
  /** What these rows say is so from now on; what was so before stays as history. */
  setRights(trx: Trx, rows: readonly OrgRightsRow[], at: number): Promise<void>;
  used(trx: Trx, departments: readonly number[]): Promise<readonly OrgUsedRow[]>;
  /** The same as positions show it, after attached rights; where there are any, of all departments: what covers may lie anywhere. */
  shown(trx: Trx, departments: readonly number[]): Promise<readonly OrgUsedRow[]>;
  codes(trx: Trx): Promise<ReadonlyMap<number, string>>;
  /** Departments that manage entitlements. */
  managing(trx: Trx, departments: readonly number[]): Promise<ReadonlySet<number>>;
  /** What is set aside for people who leave is free again; answers what that was. Ordinals. */
  endAllocations(
    trx: Trx,
    employees: readonly number[],
    at: number,
  ): Promise<readonly { readonly employee: number; readonly license: number; readonly quantity: number }[]>;
  /** The tree or a number of these departments changed. */
  touch(trx: Trx, departments: Iterable<number>, at: number): Promise<void>;
}

export interface DepartmentsFollowed {
  readonly at: number;
  /** Code → the code that stands for it now: renamed, or taken over. */
  readonly codes: ReadonlyMap<string, string>;
  /** Ordinal → ordinal of who took over. */
  readonly merged: ReadonlyMap<number, number>;
  /** Ordinals of departments that the same changes made. */
  readonly made: ReadonlySet<number>;
  /** Rights that went from department to department, in order. */
  readonly rightsMoves: readonly RightsMove[];
}

/** A context whose rows name departments: called once, inside the transaction, after everything else was written. */
export interface DepartmentFollower {
  departmentsChanged(trx: Trx, changed: DepartmentsFollowed): Promise<void>;
}
