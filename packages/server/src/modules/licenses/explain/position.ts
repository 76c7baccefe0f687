/**
 * Purpose: what a position is the sum of: each of its numbers with what it is made of, the installations - managed or not - with what covers each, the
 * entitlements behind held, the allocations, the departments behind rights.
 * Invariants: told from the facts of one version by the rules that made the numbers, so the items add up to used, installed, unmanaged and allocated
 * in use, the valid entitlements to held, the departments to rights.
 * Failure: an unknown licence or department is `not-found`.
 */
import {
  childrenOf,
  companyPosition,
  departmentPosition,
  heldAt,
  noUnmanaged,
  subtree,
  type UnmanagedClass,
} from "@daicho/licensing";
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../../db/database.ts";
import { serverErrors } from "../../../errors.ts";
import { decodeCursor, encodeCursor, type ListQuery } from "../../../http/list.ts";
import { inputInvalid } from "../../../http/problem.ts";
import { eachPolitely, mapPolitely } from "../../../slices.ts";
import { departmentOf, type Cube, type CubeLicense, type Positions } from "../positions/index.ts";
import type { CoverageOf, LicenseCoverage } from "./coverage.ts";
import { explainStore as store } from "./store.ts";
import { codeIn, departmentIn, entitlementsOf, licenseOf, namedAt, namesOf, toldOf, type CoverageTold } from "./told.ts"; // prettier-ignore

export interface PositionItem extends CoverageTold {
  readonly device: string;
  readonly hostname: string;
  readonly employee?: string;
  readonly department: string;
  /** The licence that is installed. */
  readonly license: string;
  readonly units: number;
  /** managed, preinstalled, individual, other */
  readonly class: string;
  /** What it adds to the position's numbers. */
  readonly used: number;
  readonly installed: number;
  readonly unmanaged: number;
  readonly allocatedInUse: number;
  /** Counts together with this device: one person, one suite. */
  readonly countedWith?: string;
}

export interface PositionQuery extends ListQuery {
  readonly department?: string;
  /** The department's whole subtree. */
  readonly rollup?: boolean;
}

export function createPositionExplanation(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly positions: Pick<Positions, "cube" | "cubeAt">;
  readonly coverageOf: CoverageOf;
}) {
  const { db, clock, positions, coverageOf } = deps;

  const itemsOf = async (cube: Cube, coverage: LicenseCoverage, shown: readonly number[]): Promise<PositionItem[]> => {
    const found = shown.map((place) => ({ place, one: installationAt(coverage, place) }));
    const { result } = coverage;
    const managed = shown.filter((place) => place < result.installations.length);
    const named = found.map(({ one }) => one.device);
    await eachPolitely(managed, (place) => void named.push(...namedAt(coverage, place)));
    const names = await namesOf(db, named);
    const employees = new Set(found.flatMap(({ one }) => one.employee || []));
    const people = new Map(
      (await store.employees(db.kysely, db.dialect, [...employees])).map((row) => [row.ordinal, row.id]),
    );
    const allocated = result.allocations.get(coverage.license)?.at;
    return mapPolitely(found, ({ place, one }): PositionItem => {
      const user = one.employee === null ? undefined : people.get(one.employee);
      const other = coverage.with.get(place);
      return {
        device: names.get(one.device)?.id ?? `#${one.device}`,
        hostname: names.get(one.device)?.hostname ?? "",
        ...(user !== undefined && { employee: user }),
        department: departmentIn(cube, one.department),
        license: codeIn(cube)(one.license),
        units: one.units,
        used: coverage.used.get(place) ?? 0,
        installed: coverage.installed.get(place) ?? 0,
        class: "class" in one ? one.class : "managed",
        unmanaged: "class" in one ? one.unmanaged : 0,
        allocatedInUse: allocated?.get(place) ?? 0,
        ...("class" in one ? besideWords(one.class) : toldOf(cube, coverage, place, names)),
        ...(other !== undefined && { countedWith: names.get(other)?.id ?? `#${other}` }),
      };
    });
  };

  const allocationsOf = async (license: CubeLicense, coverage: LicenseCoverage, moment: number | undefined) => {
    const use = coverage.result.allocations.get(license.ordinal);
    return (await store.allocations(db.kysely, license.ordinal, moment)).map((row) => {
      const id = row.id.split("/", 1)[0] as string;
      const inUse = use?.of.get(row.id) ?? 0;
      return {
        id,
        ...(row.device !== null && { device: row.device }),
        ...(row.employee !== null && { employee: row.employee }),
        ...(row.entitlement !== null && { entitlement: row.entitlement }),
        quantity: row.quantity,
        inUse,
        notInUse: row.quantity - inUse,
        since: new Date(row.since).toISOString(),
      };
    });
  };

  /**
   * `moment`: a past one; absent = now. Items in the order of devices, those that are not managed last, a page of them; totals are of all.
   * @throws not-found
   */
  return async (code: string, query: PositionQuery, moment?: number) => {
    const cube = moment === undefined ? await positions.cube() : await positions.cubeAt(moment);
    const license = licenseOf(cube, code);
    const within = departmentsOf(cube, moment === undefined ? cube : await positions.cube(), query);
    const now = clock.now();
    const coverage = await coverageOf(cube.licenses, license.ordinal, { version: cube.version, now, moment });
    const totals = { used: 0, installed: 0, items: 0, unmanaged: { ...noUnmanaged } as Record<UnmanagedClass, number> };
    const start = cursorOf(query.cursor);
    const limit = query.limit ?? 100;
    const shown: number[] = [];
    let more = false as boolean;
    await eachPolitely(placesOf(coverage), (place) => {
      const one = installationAt(coverage, place);
      if (within !== undefined && !within.has(one.department)) return;
      totals.used += coverage.used.get(place) ?? 0;
      totals.installed += coverage.installed.get(place) ?? 0;
      if ("class" in one) totals.unmanaged[one.class] += one.unmanaged;
      totals.items++;
      if (place <= start) return;
      if (shown.length < limit) shown.push(place);
      else more = true;
    });
    const entitlements = await entitlementsOf(db, cube, license.ordinal, coverage, moment);
    const held = entitlements.reduce((sum, one) => sum + one.held, 0);
    const departments = departmentsBehind(cube, license, within);
    const last = shown[shown.length - 1];
    return {
      version: cube.version,
      at: new Date(moment ?? now).toISOString(),
      license: code,
      name: license.name,
      metric: license.metric,
      ...(query.department !== undefined && { department: query.department }),
      totals: { ...totals, held, ...numbersOf(cube, license, coverage, totals, departments, within) },
      entitlements,
      allocations: await allocationsOf(license, coverage, moment),
      departments: departments.map(({ ordinal, ...numbers }) => ({
        department: departmentIn(cube, ordinal),
        ...numbers,
      })),
      items: await itemsOf(cube, coverage, shown),
      ...(more && last !== undefined && { nextCursor: encodeCursor(["explain", last]) }),
    };
  };
}

/** Managed installations by their places, then those that are not. */
function* placesOf(coverage: LicenseCoverage): Generator<number> {
  yield* coverage.places;
  const { length } = coverage.result.installations;
  for (let i = 0; i < coverage.beside.length; i++) yield length + i;
}

type Told = LicenseCoverage["result"]["installations"][number] | LicenseCoverage["beside"][number];
function installationAt({ result, beside }: LicenseCoverage, place: number): Told {
  return (result.installations[place] ?? beside[place - result.installations.length]) as Told;
}

function besideWords(of: UnmanagedClass): CoverageTold {
  return {
    covered: true,
    coveredUnits: 0,
    because: `not managed, counted as ${of}: nothing is needed`,
    reason: "unmanaged",
  };
}

interface DepartmentRow {
  readonly ordinal: number;
  readonly used: number;
  readonly rights: number;
  readonly required: number;
  readonly requested: number;
}

function departmentsBehind(cube: Cube, license: CubeLicense, within: ReadonlySet<number> | undefined): DepartmentRow[] {
  const place = cube.licenses.indexOf(license);
  const found: DepartmentRow[] = [];
  for (const [ordinal, rows] of cube.rows) {
    const at = within?.has(ordinal) === false ? -1 : rows.license.indexOf(place);
    if (at === -1) continue;
    const [used = 0, rights = 0, required = 0, requested = 0] = rows.numbers.subarray(at * 4, at * 4 + 4);
    if (used !== 0 || rights !== 0 || required !== 0 || requested !== 0)
      found.push({ ordinal, used, rights, required, requested });
  }
  const code = (ordinal: number): string => departmentIn(cube, ordinal);
  return found.sort((a, b) => (code(a.ordinal) < code(b.ordinal) ? -1 : 1));
}

/** The other numbers of the position, by the same formulas, and how each comes about. */
function numbersOf(
  cube: Cube,
  license: CubeLicense,
  coverage: LicenseCoverage,
  totals: {
    readonly used: number;
    readonly installed: number;
    readonly unmanaged: Readonly<Record<UnmanagedClass, number>>;
  },
  departments: readonly DepartmentRow[],
  within: ReadonlySet<number> | undefined,
) {
  const { metric } = license;
  const sum = (field: "rights" | "required" | "requested"): number =>
    departments.reduce((total, row) => total + row[field], 0);
  const counts = {
    used: totals.used,
    rights: sum("rights"),
    required: sum("required"),
    requested: sum("requested"),
  };
  const holding = heldAt(cube.entitlements.get(cube.licenses.indexOf(license)) ?? [], coverage.at);
  const { rights, required, requested } = counts;
  const input = { metric, holding, counts, installed: totals.installed, unmanaged: totals.unmanaged };
  const noLimit = holding.unlimited ? "; an entitlement without a limit is valid, so never short" : "";
  if (within !== undefined) {
    const { overUnder } = departmentPosition(input);
    return {
      rights,
      required,
      requested,
      overUnder,
      because: { overUnder: `rights ${rights} − used ${counts.used}${noLimit}` },
    };
  }
  const allocated = coverage.result.allocations.get(license.ordinal);
  const { overUnder, idle, allocatedInUse, allocatedNotInUse, notAllocatedInUse } = companyPosition({
    ...input,
    allocated,
  });
  const difference = `held ${holding.held} − used ${counts.used}`;
  return {
    rights,
    required,
    requested,
    overUnder,
    idle,
    allocatedInUse,
    allocatedNotInUse,
    notAllocatedInUse,
    because: {
      overUnder: `${difference}${noLimit}`,
      idle: `${difference}, where positive`,
      notAllocatedInUse: `used ${counts.used} − allocated in use ${allocatedInUse}`,
    },
  };
}

function departmentsOf(cube: Cube, current: Cube, query: PositionQuery): ReadonlySet<number> | undefined {
  if (query.department === undefined) return undefined;
  const ordinal = departmentOf(query.department, cube, current);
  if (ordinal === undefined) throw serverErrors.make("not-found", { what: "department", id: query.department });
  return query.rollup === true && ordinal !== 0
    ? new Set(subtree(childrenOf(new Map([...cube.departments].map(([o, d]) => [o, d.parent]))), ordinal))
    : new Set([ordinal]);
}

function cursorOf(cursor: string | undefined): number {
  if (cursor === undefined) return -1;
  const parts = decodeCursor(cursor);
  if (parts?.length === 2 && parts[0] === "explain" && Number.isSafeInteger(parts[1])) return parts[1] as number;
  throw inputInvalid([{ path: "querystring/cursor", message: "is not a cursor of this list" }]);
}
