/**
 * Purpose: why (issue 3: "why is this 255?"). For a device and a licence: evidence, codes, rule, units, whom it counts for, what covers it. For a
 * position: the installations it is the sum of and the entitlements behind held.
 * Invariants: told from the same facts and by the same rules that made the numbers - the policy's own explanation, the metric's own steps, coverage as
 * positions have it; the items of a position add up to its used and installed, its valid entitlements to held.
 * Failure: an unknown device, licence or department is `not-found`.
 */
import { childrenOf, subtree, unassigned } from "@daicho/licensing";
import type { Clock } from "@daicho/kernel";
import type { ExplainedLicense, NotMatched } from "@daicho/policy";
import type { Hardware, Machine, RecognizedCode } from "@daicho/protocol";
import type { Database } from "../../../db/database.ts";
import { serverErrors } from "../../../errors.ts";
import { decodeCursor, encodeCursor, type ListQuery } from "../../../http/list.ts";
import { inputInvalid } from "../../../http/problem.ts";
import { breathe } from "../../../slices.ts";
import type { Cube, CubeLicense, Positions } from "../positions/index.ts";
import { eachPacked } from "../repository/index.ts";
import { because, createLicenseCoverage, type LicenseCoverage } from "./coverage.ts";
import { explainStore as store } from "./store.ts";

/** What the explanation asks of the inventory; modules/inventory implements it. */
export interface ExplainedFacts {
  factsOf(
    device: number,
  ): Promise<{ readonly hardware?: Hardware; readonly codes: readonly RecognizedCode[] } | undefined>;
  explain(codes: readonly RecognizedCode[]): {
    readonly licenses: readonly ExplainedLicense[];
    readonly notMatched: readonly NotMatched[];
  };
  unitsOf(
    license: string,
    machine: () => Machine | undefined,
  ): { readonly metric: string; readonly units: number; readonly rule?: string; readonly steps?: readonly object[] };
  /** Why an installation is managed, preinstalled …; absent = all are managed. */
  classify?(
    device: string,
    license: string,
  ): Promise<{ readonly class: string; readonly by: string; readonly rule?: number; readonly reason?: string }>;
}

export interface CoverageTold {
  readonly covered: boolean;
  readonly because: string;
  /** direct, suite, downgrade, upgrade; second-device for a free one. */
  readonly right?: string;
  /** The licence it counts as used of. */
  readonly countsAs?: string;
  readonly entitlements?: readonly string[];
  readonly allocation?: string;
  readonly secondTo?: string;
  /** no-entitlement, not-valid, used-up, not-counted */
  readonly reason?: string;
}

export interface PositionItem extends CoverageTold {
  readonly device: string;
  readonly hostname: string;
  readonly employee?: string;
  readonly department: string;
  /** The licence that is installed. */
  readonly license: string;
  readonly units: number;
  /** What it adds to the position's used and installed. */
  readonly used: number;
  readonly installed: number;
  /** Counts together with this device: one person, one suite. */
  readonly countedWith?: string;
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

export type Explain = ReturnType<typeof createExplain>;

export function createExplain(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly positions: Pick<Positions, "cube" | "cubeAt">;
  readonly facts: ExplainedFacts;
}) {
  const { db, clock, positions, facts } = deps;
  const coverageOf = createLicenseCoverage({ db });

  const licenseOf = (cube: Cube, code: string): CubeLicense => {
    const found = cube.licenses.find((license) => license.code === code);
    if (found === undefined) throw serverErrors.make("not-found", { what: "licence", id: code });
    return found;
  };
  const codeIn =
    (cube: Cube) =>
    (license: number): string =>
      cube.licenses.find(({ ordinal }) => ordinal === license)?.code ?? `#${license}`;
  const departmentIn = (cube: Cube, ordinal: number): string =>
    ordinal === 0 ? unassigned : (cube.departments.get(ordinal)?.code ?? `#${ordinal}`);

  const toldOf = (
    cube: Cube,
    coverage: LicenseCoverage,
    place: number,
    devices: ReadonlyMap<number, { id: string }>,
  ): CoverageTold => {
    const by = coverage.result.coverOf(place);
    const code = codeIn(cube);
    const own = code(coverage.result.installations[place]?.license ?? 0);
    const words = because(by, code, own);
    if (typeof by === "string") return { covered: by === "not-counted", because: words, reason: by };
    return {
      covered: true,
      because: words,
      right: by.secondTo === undefined ? by.right : "second-device",
      countsAs: code(by.license),
      entitlements: by.entitlements,
      ...(by.allocation !== undefined && { allocation: by.allocation }),
      ...(by.secondTo !== undefined && { secondTo: devices.get(by.secondTo)?.id ?? `#${by.secondTo}` }),
    };
  };

  const named = async (ordinals: Iterable<number>): Promise<Map<number, { id: string; hostname: string }>> =>
    new Map((await store.devices(db.kysely, db.dialect, [...new Set(ordinals)])).map((row) => [row.ordinal, row]));

  const entitlementsOf = async (cube: Cube, license: number, coverage: LicenseCoverage): Promise<EntitlementItem[]> => {
    const rows = new Map(
      (await store.entitlements(db.kysely, db.dialect, coverage.entitlements.map(({ id }) => id))).map((row) => [row.id, row]),
    ); // prettier-ignore
    const code = codeIn(cube);
    const time = (
      name: "startsAt" | "expiresAt",
      ms: number | null | undefined,
    ): Partial<Record<typeof name, string>> => (ms == null ? {} : { [name]: new Date(ms).toISOString() });
    return coverage.entitlements
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
  };

  return {
    /** @throws not-found */
    async device(id: string, code: string) {
      const cube = await positions.cube();
      const license = licenseOf(cube, code);
      const row = await store.device(db.kysely, id);
      if (row === undefined) throw serverErrors.make("not-found", { what: "device", id });
      const { count, counted } = usesIn(row.licenses, cube, license);
      const report = await facts.factsOf(row.ordinal);
      const told = report === undefined ? undefined : facts.explain(report.codes);
      const rule = told?.licenses.find((one) => one.license === code);
      const units = facts.unitsOf(code, () =>
        report?.hardware === undefined
          ? undefined
          : { hostname: row.hostname, hardware: report.hardware, probesVersion: 0 },
      );
      const base = {
        version: cube.version,
        at: new Date(clock.now()).toISOString(),
        device: row.id,
        hostname: row.hostname,
        state: row.state,
        license: code,
        name: license.name,
        metric: license.metric,
        managed: license.managed,
        installed: count !== undefined,
        ...(rule !== undefined && {
          rule: {
            text: rule.rule,
            place: rule.place,
            codes: rule.codes,
            derivedFrom: rule.derivedFrom,
            evidence: rule.evidence,
            ...(rule.also !== undefined && { also: rule.also }),
          },
        }),
        notMatched: (told?.notMatched ?? []).filter((one) => one.license === code),
        reported: report !== undefined,
      };
      if (count === undefined || row.since === null)
        return {
          ...base,
          because:
            row.state === "disposed"
              ? "the device is disposed of: what is on it counts for nobody"
              : report === undefined
                ? "the device has not reported"
                : (base.notMatched[0]?.because ??
                  (rule === undefined
                    ? `no rule or definition yields ${code} on this device`
                    : `${code} has just been found and is not counted yet`)),
        };
      const since = await hadSince(counted.ordinal, row.ordinal, row.since);
      const decision = await facts.classify?.(row.id, code);
      const coverage = await coverageOf(cube.licenses, license.ordinal, { version: cube.version, now: clock.now() });
      const place = coverage.places.find((p) => {
        const one = coverage.result.installations[p];
        return one?.device === row.ordinal && one.license === license.ordinal;
      });
      const second = place === undefined ? undefined : coverage.result.coverOf(place);
      const devices = await named(typeof second === "object" && second.secondTo !== undefined ? [second.secondTo] : []);
      const ids = typeof second === "object" ? new Set(second.entitlements) : new Set<string>();
      return {
        ...base,
        since: new Date(since).toISOString(),
        units: { ...units, units: count },
        ...(decision !== undefined && {
          classification: {
            class: decision.class,
            by: decision.by,
            ...(decision.rule !== undefined && { rule: decision.rule }),
            ...(decision.reason !== undefined && { reason: decision.reason }),
          },
        }),
        countsFor: {
          department: departmentIn(cube, row.counted_department ?? 0),
          ...(row.employee !== null && { employee: row.employee }),
          because:
            row.counted_employee === 0
              ? "its user has left; it waits on the hand-over list"
              : row.employee_department !== null
                ? "the department of its user"
                : row.managing_department !== null
                  ? row.employee === null
                    ? "it has no user: its managing department"
                    : "its user is in no department: its managing department"
                  : "neither its user nor itself is in a department",
          since: new Date(row.since).toISOString(),
        },
        ...(place !== undefined && {
          coverage: {
            ...toldOf(cube, coverage, place, devices),
            used: coverage.used.get(place) ?? 0,
            installed: coverage.installed.get(place) ?? 0,
          },
        }),
        entitlements: (await entitlementsOf(cube, license.ordinal, coverage)).map((one) => ({
          ...one,
          coversThis: ids.has(one.id),
        })),
        because:
          rule === undefined
            ? "recorded; the facts have changed since and are about to be derived again"
            : counted === license
              ? ruleWords(rule)
              : `${ruleWords(rule)}; it is not managed: counted beside used, as ${counted.class ?? "other"}`,
      };
    },

    /**
     * `asOf`: a past moment. `rollup`: the department's whole subtree. Items in the order of devices, a page of them; totals are of all.
     * @throws not-found
     */
    async position(
      code: string,
      query: ListQuery & { readonly department?: string; readonly rollup?: boolean },
      moment?: number,
    ) {
      const cube = moment === undefined ? await positions.cube() : await positions.cubeAt(moment);
      const license = licenseOf(cube, code);
      const within = departmentsOf(cube, query);
      const now = clock.now();
      const coverage = await coverageOf(cube.licenses, license.ordinal, { version: cube.version, now, moment });
      const { installations } = coverage.result;
      const totals = { used: 0, installed: 0, items: 0 };
      const start = cursorOf(query.cursor);
      const limit = query.limit ?? 100;
      const shown: number[] = [];
      let more = false;
      let count = 0;
      for (const place of coverage.places) {
        if (++count % 4096 === 0) await breathe();
        const { department } = installations[place] as { department: number };
        if (within !== undefined && !within.has(department)) continue;
        totals.used += coverage.used.get(place) ?? 0;
        totals.installed += coverage.installed.get(place) ?? 0;
        totals.items++;
        if (place <= start) continue;
        if (shown.length < limit) shown.push(place);
        else more = true;
      }
      const ordinals: number[] = [];
      const employees = new Set<number>();
      for (const place of shown) {
        const { device, employee } = installations[place] as { device: number; employee: number | null };
        ordinals.push(device);
        const by = coverage.result.coverOf(place);
        if (typeof by === "object" && by.secondTo !== undefined) ordinals.push(by.secondTo);
        const other = coverage.with.get(place);
        if (other !== undefined) ordinals.push(other);
        if (employee !== null && employee !== 0) employees.add(employee);
      }
      const devices = await named(ordinals);
      const people = new Map(
        (await store.employees(db.kysely, db.dialect, [...employees])).map((row) => [row.ordinal, row.id]),
      );
      const items = shown.map((place): PositionItem => {
        const one = installations[place] as (typeof installations)[number];
        const user = one.employee === null ? undefined : people.get(one.employee);
        const other = coverage.with.get(place);
        return {
          device: devices.get(one.device)?.id ?? `#${one.device}`,
          hostname: devices.get(one.device)?.hostname ?? "",
          ...(user !== undefined && { employee: user }),
          department: departmentIn(cube, one.department),
          license: codeIn(cube)(one.license),
          units: one.units,
          used: coverage.used.get(place) ?? 0,
          installed: coverage.installed.get(place) ?? 0,
          ...toldOf(cube, coverage, place, devices),
          ...(other !== undefined && { countedWith: devices.get(other)?.id ?? `#${other}` }),
        };
      });
      const entitlements = await entitlementsOf(cube, license.ordinal, coverage);
      const last = shown[shown.length - 1];
      return {
        version: cube.version,
        at: new Date(moment ?? now).toISOString(),
        license: code,
        name: license.name,
        metric: license.metric,
        ...(query.department !== undefined && { department: query.department }),
        totals: { ...totals, held: entitlements.reduce((sum, one) => sum + one.held, 0) },
        entitlements,
        items,
        ...(more && last !== undefined && { nextCursor: encodeCursor(["explain", last]) }),
      };
    },
  };

  /** Walks back through the device's intervals as long as they had the licence and followed each other. */
  async function hadSince(license: number, device: number, opened: number): Promise<number> {
    let since = opened;
    for (;;) {
      const page = await store.closedIntervals(db.kysely, device, since, 100);
      for (const { since: from, until, licenses } of page) {
        let had = false;
        eachPacked(licenses, (one) => (had ||= one === license));
        if (until !== since || !had) return since;
        since = from;
      }
      if (page.length < 100) return since;
    }
  }

  function departmentsOf(
    cube: Cube,
    query: { readonly department?: string; readonly rollup?: boolean },
  ): ReadonlySet<number> | undefined {
    if (query.department === undefined) return undefined;
    const ordinal = query.department === unassigned ? 0 : cube.ordinalOf.get(query.department);
    if (ordinal === undefined) throw serverErrors.make("not-found", { what: "department", id: query.department });
    return query.rollup === true && ordinal !== 0
      ? new Set(subtree(childrenOf(new Map([...cube.departments].map(([o, d]) => [o, d.parent]))), ordinal))
      : new Set([ordinal]);
  }
}

/** How many units of the licence a device has, and under which row they are counted: its own, or a variant's where they are not managed. */
function usesIn(
  packed: Uint8Array | null,
  cube: Cube,
  license: CubeLicense,
): { readonly count?: number; readonly counted: CubeLicense } {
  const rows = cube.licenses.filter(({ ordinal, base }) => ordinal === license.ordinal || base === license.ordinal);
  const found: { count: number; counted: CubeLicense }[] = [];
  if (packed !== null)
    eachPacked(packed, (one, count) => {
      const counted = rows.find(({ ordinal }) => ordinal === one);
      if (counted !== undefined) found.push({ count, counted });
    });
  return found[0] ?? { counted: license };
}

function ruleWords(rule: ExplainedLicense): string {
  return rule.rule === null
    ? `${rule.license} is on the device and counts as itself`
    : `${rule.rule} holds (${rule.place}): ${rule.codes.join(", ")}`;
}

function cursorOf(cursor: string | undefined): number {
  if (cursor === undefined) return -1;
  const parts = decodeCursor(cursor);
  if (parts?.length === 2 && parts[0] === "explain" && Number.isSafeInteger(parts[1])) return parts[1] as number;
  throw inputInvalid([{ path: "querystring/cursor", message: "is not a cursor of this list" }]);
}
