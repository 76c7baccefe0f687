/**
 * Purpose: what the ledger asks about a device's reports and licences when it is shown. Declared here, beside its only reader; modules/inventory
 * and modules/licenses implement it, app.ts puts them together.
 */
import type { Hardware, RecognizedCode, ScanError, Title } from "@daicho/protocol";

export interface DeviceReport {
  readonly hardware?: Hardware;
  readonly software: readonly Title[];
  readonly codes: readonly RecognizedCode[];
  readonly lastSeenAt: string;
  readonly scannedAt: string;
  readonly scan?: {
    readonly startedAt?: string;
    readonly durationMs?: number;
    /** Dictionary version whose machine probes the report answers; 0 = none. */
    readonly dictionaryVersion: number;
    readonly errors: readonly ScanError[];
  };
}

export interface LicenseUse {
  readonly license: string;
  /** Not managed; absent = managed. */
  readonly class?: string;
  readonly count: number;
  /** Milliseconds. */
  readonly since: number;
}

export interface DeviceFacts {
  /** Everything of the last report; undefined for a device that never reported. */
  factsOf(device: number): Promise<DeviceReport | undefined>;
  /** When each device last reported, milliseconds; devices that never did are left out. */
  lastSeenOf(devices: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** The hardware they reported last; devices that reported none are left out. */
  hardwareOf(devices: readonly number[]): Promise<ReadonlyMap<number, Hardware>>;
  /** What each uses now; devices that use nothing may be left out. */
  licensesOf(devices: readonly number[]): Promise<ReadonlyMap<number, readonly LicenseUse[]>>;
  /** Ordinals above `after`, ascending, at most `limit`, of devices that use the licence … */
  withLicense(license: string, after: number, limit: number): Promise<readonly number[]>;
  /** … or on which a title of this name was found. */
  withTitle(name: string, after: number, limit: number): Promise<readonly number[]>;
}
