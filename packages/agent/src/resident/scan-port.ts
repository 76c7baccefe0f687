/**
 * Purpose: what the resident asks of a scan, and what it gets. Behind it is a process of its own (scan-process.ts), so that the resident
 * stays small and its event loop free; a test puts a function there.
 */
import type { Inventory, ProbeHit, ScanError } from "@daicho/protocol";

export interface ScanWalk {
  readonly roots: readonly string[];
  readonly exclude: readonly string[];
  readonly polite: boolean;
  readonly maxEntries: number;
  readonly maxMilliseconds: number;
}

export interface ScanRequest {
  /** `probes`: only those machine probes of the dictionary that are not `known`. */
  readonly kind: "scan" | "probes";
  /** Written by dictionary.ts; absent = no dictionary yet. */
  readonly dictionaryFile?: string;
  readonly deviceId: string;
  readonly known?: readonly string[];
  readonly walk: ScanWalk;
}

export interface ScanAnswer {
  /** Absent for `probes`. */
  readonly inventory?: Inventory;
  /** Of the machine probes asked for, those that hold. */
  readonly hits: readonly ProbeHit[];
  /** Canonical texts of all machine probes of the dictionary. */
  readonly probes: readonly string[];
  /** Version of that dictionary; 0 = none. */
  readonly dictionary: number;
  /** For `probes`: places that could not be read. */
  readonly errors: readonly ScanError[];
}

/** Rejects when the scan did not finish, or with the signal's reason. */
export type ScanPort = (request: ScanRequest, signal?: AbortSignal) => Promise<ScanAnswer>;
