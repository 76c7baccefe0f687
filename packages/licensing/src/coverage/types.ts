/** Purpose: what coverage is worked out from, and what comes out of it. Licences, devices, people and departments are numbers of the caller's. */
import type { Metric } from "@daicho/protocol";

export interface CoverLicense {
  readonly license: number;
  /** Decides ties. */
  readonly code: string;
  readonly metric: Metric;
}

/** One licence on one device. */
export interface Installation {
  readonly device: number;
  /** null = the device has no user; 0 = its user has left, so user metrics count nothing for it. */
  readonly employee: number | null;
  readonly department: number;
  readonly license: number;
  /** Metric units of the device: cores, processors … 1 for most. */
  readonly units: number;
}

/** For the right to a second device. */
export interface DeviceTraits {
  readonly portable: boolean;
  readonly virtual: boolean;
}

export type Validity = "valid" | "not-started" | "expired";

export interface CoverEntitlement {
  readonly id: string;
  readonly license: number;
  readonly metric: Metric;
  /** Quantity × pack size. */
  readonly units: number;
  readonly validity: Validity;
  /** Licences it may be used for besides its own, with the right that allows it, and how many titles it holds as a suite. */
  readonly reach: Reach;
}

export interface Reach {
  readonly licenses: ReadonlyMap<number, Exclude<CoverRight, "direct">>;
  readonly titles: number;
  readonly secondDevice: boolean;
}

export interface Allocation {
  readonly id: string;
  readonly license: number;
  readonly entitlement?: string | undefined;
  /** Where both are given the device decides. */
  readonly device?: number | undefined;
  readonly employee?: number | undefined;
  readonly quantity: number;
  readonly since: number;
}

export interface CoverInput {
  readonly licenses: readonly CoverLicense[];
  readonly installations: readonly Installation[];
  readonly entitlements: readonly CoverEntitlement[];
  readonly allocations: readonly Allocation[];
  /** Asked for the devices of people with several; absent = neither portable nor virtual. */
  readonly traits?: (device: number) => DeviceTraits | undefined;
}

export type CoverRight = "direct" | "suite" | "downgrade" | "upgrade";

/**
 * Why an installation is not covered, or not all of it. `no-entitlement`: none reaches it · `other-metric`: those that would count cores or processors
 * and it does not, or the reverse · `not-valid`: those that reach it are outside their dates · `used-up`: they cover others · `not-counted`: its user
 * has left, so nothing is needed.
 */
export type UncoveredReason = "no-entitlement" | "other-metric" | "not-valid" | "used-up" | "not-counted";

export interface Covered {
  /** Ids; several where one did not have enough units left. Empty: the licence itself has no limit (site, free). */
  readonly entitlements: readonly string[];
  /** The licence whose entitlement it is: the installation counts as used of this one. */
  readonly license: number;
  readonly right: CoverRight;
  /** The allocation that put it first. */
  readonly allocation?: string;
  /** A free second device: the first one. */
  readonly secondTo?: number;
}

/** Units of an installation that are covered; by cores and processors there may be several, and some left over. */
export interface CoveredPart {
  readonly license: number;
  readonly right: CoverRight;
  readonly units: number;
  readonly entitlements: readonly string[];
  readonly allocation?: string;
}

export interface Consumption {
  readonly license: number;
  readonly department: number;
  readonly units: number;
  /** The device, or the person's devices, it is for; in the order of the installations. */
  readonly installations: readonly number[];
  readonly entitlements: readonly { readonly id: string; readonly units: number }[];
  readonly allocation?: string;
}

export interface AllocationTotals {
  /** Units. */
  readonly inUse: number;
  readonly notInUse: number;
}

/** The same, told one by one. */
export interface AllocationUse extends AllocationTotals {
  /** By allocation: units of it that are in use. */
  readonly of: ReadonlyMap<string, number>;
  /** By place of the first installation: units that count as allocated. */
  readonly at: ReadonlyMap<number, number>;
}

export interface CoverResult {
  /** In a fixed order, whatever the order of the input: by device, then licence code. Everything below speaks of places in it. */
  readonly installations: readonly Installation[];
  coverOf(place: number): Covered | UncoveredReason;
  /** What covers it, also where that is not all of it; nothing where nothing does or no limit is. */
  partsOf(place: number): readonly CoveredPart[];
  /** Everything that counts as used: one for each copy that a licence is needed for. Uncovered ones have no entitlements. Made as it is walked. */
  readonly consumptions: Iterable<Consumption>;
  /** By licence. */
  readonly allocations: ReadonlyMap<number, AllocationUse>;
}
