/**
 * Purpose: what one context asks of another. A context implements its own port in its folder; app.ts hands the ports out.
 * Everything that happens inside a transaction gets the transaction passed in.
 */
import type { Cause, DeviceTraits, UnmanagedClass } from "@daicho/licensing";
import type { Dictionary, LicensePolicy, SignedDocument } from "@daicho/protocol";
import type { Trx } from "./db/database.ts";

/** Who a device counts for: its user's department, else its managing department, else 0 = unassigned (domain.md §5.3). */
export interface Assignment {
  /** 0 = on the hand-over list: nobody uses it, so licences counted by user count nothing on it. */
  readonly employee: number | null;
  readonly department: number;
  /** false for a disposed device: its inventory is kept, but it uses nothing. */
  readonly counts: boolean;
}

/** Implemented by modules/devices. */
export interface DeviceDirectory {
  assignments(trx: Trx, devices: readonly number[]): Promise<ReadonlyMap<number, Assignment>>;
  /**
   * The ledger's device for a machine that reports: the one with this id, else the one with this serial number (junk serials
   * ignored by the caller) that no other identity holds, else a new one.
   */
  adopt(
    trx: Trx,
    machine: {
      readonly id: string;
      readonly hostname: string;
      readonly serial?: string;
      /** Department code from the enrolment token, for a new device. */
      readonly department?: string;
      readonly origin: "enrollment" | "import";
      /** Devices that may not be adopted by serial, because another identity is attached. */
      readonly taken: (device: number) => Promise<boolean>;
    },
  ): Promise<number>;
  /** The ledger's ids of devices. */
  idsOf(trx: Trx, devices: readonly number[]): Promise<ReadonlyMap<number, string>>;
  /** Devices above `after`, up to and including `last`, that the ledger says use nothing: disposed of, or merged into another. */
  disposedBetween(trx: Trx, after: number, last: number): Promise<ReadonlySet<number>>;
  /** These machines reported with the keys of those devices before they had their own (design.md "Clones"). */
  splitOff(trx: Trx, links: readonly { readonly device: number; readonly from: number }[]): Promise<void>;
  /** The machine now calls itself so. */
  renameHosts(
    trx: Trx,
    names: readonly { readonly device: number; readonly hostname: string; readonly serial?: string }[],
  ): Promise<void>;
}

/** Implemented by modules/licenses (repository): derives and counts what devices use. */
export interface UsageRepository {
  /**
   * Sets what devices use as of `at`: closes and opens intervals and moves `used`, for changed devices only.
   * Call with the devices' heads locked. Devices that are not assigned count as unassigned. `cause` is kept with the intervals: it is what
   * differences between two dates are explained by.
   */
  record(
    trx: Trx,
    changes: readonly {
      readonly device: number;
      /** `class`: not managed, and counted beside `used` (domain.md §3). */
      readonly licenses: readonly {
        readonly license: string;
        readonly count: number;
        readonly class?: UnmanagedClass;
      }[];
    }[],
    at: number,
    /** `report` unless said otherwise. */
    cause?: Cause,
  ): Promise<{ readonly changed: boolean }>;
  /** The devices' user, department or state changed: moves their open intervals and `used` with them. `cause`: `reassigned` unless said otherwise. */
  reassign(trx: Trx, devices: readonly number[], at: number, cause?: Cause): Promise<{ readonly changed: boolean }>;
  /** The devices' chassis changed, or whether they are virtual: what they use stays, what covers it may not. `traits` are those before. */
  reshaped(
    trx: Trx,
    devices: readonly { readonly device: number; readonly traits: DeviceTraits }[],
    at: number,
  ): Promise<void>;
}

/** Implemented by modules/policies. */
export interface CurrentPolicy {
  /** Rises with every generated dictionary; 0 = none yet. */
  readonly generation: number;
  readonly dictionary: Dictionary | undefined;
  readonly licensePolicy: LicensePolicy | undefined;
  readonly signed: SignedDocument | undefined;
  readonly etag: string;
  readonly enterprise: number;
}
