/**
 * Purpose: what explanations say of coverage and of entitlements, in words and with the names that people use.
 * Invariants: a machine that is covered in parts says how many of its units are, and by what; an entitlement is told as it was at the moment asked for.
 */
import { unassigned, type Covered, type CoveredPart, type UncoveredReason } from "@daicho/licensing";
import type { Database } from "../../../db/database.ts";
import { serverErrors } from "../../../errors.ts";
import type { Cube, CubeLicense } from "../positions/index.ts";
import type { LicenseCoverage } from "./coverage.ts";
import { explainStore as store } from "./store.ts";

export interface CoverageTold {
  /** Nothing is missing for it. */
  readonly covered: boolean;
  /** Of its units, those that entitlements cover. */
  readonly coveredUnits: number;
  readonly because: string;
  /** direct, suite, downgrade, upgrade; second-device for a free one. */
  readonly right?: string;
  /** The licence it counts as used of. */
  readonly countsAs?: string;
  readonly entitlements?: readonly string[];
  readonly allocation?: string;
  readonly secondTo?: string;
  /** no-entitlement, other-metric, not-valid, used-up, not-counted; unmanaged */
  readonly reason?: string;
}

export interface EntitlementItem {
  readonly id: string;
  readonly license: string;
  readonly quantity: number;
  readonly units: number;
  readonly validity: string;
  /** What it adds to the position's held. */
  readonly held: number;
  readonly used: number;
  readonly covers: number;
  readonly rights?: string;
  readonly contract?: string;
  readonly order?: string;
  readonly startsAt?: string;
  readonly expiresAt?: string;
}

export type DeviceNames = ReadonlyMap<number, { readonly id: string; readonly hostname: string }>;

export function licenseOf(cube: Cube, code: string): CubeLicense {
  const found = cube.licenses.find((license) => license.code === code);
  if (found === undefined) throw serverErrors.make("not-found", { what: "licence", id: code });
  return found;
}

/** A page asks thousands of times. */
const codes = new WeakMap<Cube, ReadonlyMap<number, string>>();

export function codeIn(cube: Cube): (license: number) => string {
  let known = codes.get(cube);
  if (known === undefined) codes.set(cube, (known = new Map(cube.licenses.map((l) => [l.ordinal, l.code]))));
  const found = known;
  return (license) => found.get(license) ?? `#${license}`;
}

export function departmentIn(cube: Cube, ordinal: number): string {
  return ordinal === 0 ? unassigned : (cube.departments.get(ordinal)?.code ?? `#${ordinal}`);
}

export async function namesOf(db: Database, devices: Iterable<number>): Promise<DeviceNames> {
  return new Map((await store.devices(db.kysely, db.dialect, [...new Set(devices)])).map((row) => [row.ordinal, row]));
}

/** Devices that are named in what is told of a place, besides its own. */
export function namedAt({ result, with: together }: LicenseCoverage, place: number): number[] {
  const by = result.coverOf(place);
  const other = together.get(place);
  return [
    ...(typeof by === "object" && by.secondTo !== undefined ? [by.secondTo] : []),
    ...(other === undefined ? [] : [other]),
  ];
}

export function toldOf(cube: Cube, coverage: LicenseCoverage, place: number, devices: DeviceNames): CoverageTold {
  const { result } = coverage;
  const by = result.coverOf(place);
  const code = codeIn(cube);
  const { license, units } = result.installations[place] as { license: number; units: number };
  const own = code(license);
  const parts = result.partsOf(place);
  const coveredUnits = parts.reduce((sum, part) => sum + part.units, 0);
  const entitlements = [...new Set(parts.flatMap((part) => part.entitlements))];
  if (typeof by === "string")
    return {
      covered: by === "not-counted",
      coveredUnits,
      because:
        parts.length === 0 ? why(by, own) : `${partsWords(parts, units, code, own)}; for the rest ${why(by, own)}`,
      reason: by,
      ...(entitlements.length > 0 && { entitlements }),
    };
  return {
    covered: true,
    coveredUnits: by.entitlements.length === 0 ? units : coveredUnits,
    because: parts.length > 1 ? partsWords(parts, units, code, own) : how(by, code, own),
    right: by.secondTo === undefined ? by.right : "second-device",
    countsAs: code(by.license),
    entitlements: by.entitlements,
    ...(by.allocation !== undefined && { allocation: by.allocation }),
    ...(by.secondTo !== undefined && { secondTo: devices.get(by.secondTo)?.id ?? `#${by.secondTo}` }),
  };
}

/** Of the position's licence and of those that cover it, as they were recorded at the moment. */
export async function entitlementsOf(
  db: Database,
  cube: Cube,
  license: number,
  { entitlements }: LicenseCoverage,
  moment: number | undefined,
): Promise<EntitlementItem[]> {
  const licenses = [...new Set(entitlements.map((one) => one.license))];
  const recorded = await store.entitlements(db.kysely, db.dialect, licenses, moment);
  // What an entitlement said before is kept under `<id>/<when>`.
  const rows = new Map(recorded.map((row) => [row.id.split("/", 1)[0] as string, row]));
  const code = codeIn(cube);
  const time = (name: "startsAt" | "expiresAt", ms: number | null | undefined): Partial<Record<typeof name, string>> =>
    ms == null ? {} : { [name]: new Date(ms).toISOString() };
  return entitlements
    .map((one): EntitlementItem => {
      const row = rows.get(one.id);
      return {
        id: one.id,
        license: code(one.license),
        quantity: row?.quantity ?? one.units,
        units: one.units,
        validity: one.validity,
        held: one.license === license && one.validity === "valid" ? one.units : 0,
        used: one.used,
        covers: one.covers,
        ...(row?.rights != null && { rights: row.rights }),
        ...(row?.contract != null && { contract: row.contract }),
        ...(row?.order_no != null && { order: row.order_no }),
        ...time("startsAt", row?.starts_at),
        ...time("expiresAt", row?.expires_at),
      };
    })
    .sort((a, b) => (a.license < b.license ? -1 : a.license > b.license ? 1 : a.id < b.id ? -1 : 1));
}

function why(reason: UncoveredReason, own: string): string {
  if (reason === "not-counted") return "its user has left, so nothing is needed";
  if (reason === "no-entitlement") return `no entitlement is there that may be used for ${own}`;
  if (reason === "other-metric")
    return `every entitlement that may be used for ${own} counts something else (cores, processors)`;
  if (reason === "not-valid") return `every entitlement that may be used for ${own} is outside its dates`;
  return `every entitlement that may be used for ${own} is used up by others`;
}

function how(by: Covered | CoveredPart, code: (license: number) => string, own: string): string {
  const first = by.allocation === undefined ? "" : ", allocated to it";
  if ("secondTo" in by) return "free: the second device of its user, whose first is covered";
  if (by.entitlements.length === 0) return `${own} has no limit`;
  if (by.right === "direct") return `its own licence${first}`;
  if (by.right === "suite") return `${code(by.license)} holds ${own}${first}`;
  return `${by.right} right of ${code(by.license)}${first}`;
}

function partsWords(
  parts: readonly CoveredPart[],
  units: number,
  code: (license: number) => string,
  own: string,
): string {
  const covered = parts.reduce((sum, part) => sum + part.units, 0);
  const one = parts.length === 1;
  const words = parts.map((part) => (one ? how(part, code, own) : `${part.units} by ${how(part, code, own)}`));
  return `${covered} of ${units} are covered: ${words.join(", ")}`;
}
