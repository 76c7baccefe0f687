/**
 * Purpose: why a device uses a licence or does not: evidence, codes, rule, units, whether it is managed, whom it counts for, what covers it.
 * Invariants: told from the same facts and by the same rules that made the numbers - the policy's own explanation, the metric's own steps, coverage
 * as positions have it.
 * Failure: an unknown device or licence is `not-found`.
 */
import type { Clock } from "@daicho/kernel";
import type { ExplainedLicense, NotMatched } from "@daicho/policy";
import type { Hardware, Machine, RecognizedCode } from "@daicho/protocol";
import type { Database } from "../../../db/database.ts";
import { serverErrors } from "../../../errors.ts";
import type { Cube, CubeLicense, Positions } from "../positions/index.ts";
import { eachPacked } from "../repository/index.ts";
import type { CoverageOf } from "./coverage.ts";
import { explainStore as store } from "./store.ts";
import { departmentIn, entitlementsOf, licenseOf, namedAt, namesOf, toldOf } from "./told.ts";

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
  ): Promise<{
    readonly class: string;
    readonly by: string;
    readonly because: string;
    readonly rule?: number;
    readonly reason?: string;
  }>;
}

export function createDeviceExplanation(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly positions: Pick<Positions, "cube">;
  readonly facts: ExplainedFacts;
  readonly coverageOf: CoverageOf;
}) {
  const { db, clock, positions, facts, coverageOf } = deps;

  /** @throws not-found */
  return async (id: string, code: string) => {
    const cube = await positions.cube();
    const license = licenseOf(cube, code);
    const row = await store.device(db.kysely, id);
    if (row === undefined) throw serverErrors.make("not-found", { what: "device", id });
    const { count, counted } = usesIn(row.licenses, cube, license);
    const report = await facts.factsOf(row.ordinal);
    const told = report === undefined ? undefined : facts.explain(report.codes);
    const rule = told?.licenses.find((one) => one.license === code);
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
      ...(rule !== undefined && { rule: ruleOf(rule) }),
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

    const { hardware } = report ?? {};
    const units = facts.unitsOf(code, () =>
      hardware === undefined ? undefined : { hostname: row.hostname, hardware, probesVersion: 0 },
    );
    const coverage = await coverageOf(cube.licenses, license.ordinal, { version: cube.version, now: clock.now() });
    const place = coverage.places.find((p) => {
      const one = coverage.result.installations[p];
      return one?.device === row.ordinal && one.license === license.ordinal;
    });
    const names = await namesOf(db, place === undefined ? [] : namedAt(coverage, place));
    const covering = place === undefined ? undefined : toldOf(cube, coverage, place, names);
    const ids = new Set(covering?.entitlements);
    const classification = await facts.classify?.(row.id, code);
    return {
      ...base,
      since: new Date(await hadSince(db, counted.ordinal, row.ordinal, row.since)).toISOString(),
      units: { ...units, units: count },
      ...(classification !== undefined && { classification }),
      countsFor: {
        department: departmentIn(cube, row.counted_department ?? 0),
        ...(row.employee !== null && { employee: row.employee }),
        because: ownerWords(row),
        since: new Date(row.since).toISOString(),
      },
      ...(covering !== undefined && {
        coverage: {
          ...covering,
          used: coverage.used.get(place as number) ?? 0,
          installed: coverage.installed.get(place as number) ?? 0,
        },
      }),
      entitlements: (await entitlementsOf(db, cube, license.ordinal, coverage, undefined)).map((one) => ({
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
  };
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

/** Walks back through the device's intervals as long as they had the licence and followed each other. */
async function hadSince(db: Database, license: number, device: number, opened: number): Promise<number> {
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

function ruleOf({ rule, place, codes, derivedFrom, evidence, also }: ExplainedLicense) {
  return { text: rule, place, codes, derivedFrom, evidence, ...(also !== undefined && { also }) };
}

function ruleWords(rule: ExplainedLicense): string {
  return rule.rule === null
    ? `${rule.license} is on the device and counts as itself`
    : `${rule.rule} holds (${rule.place}): ${rule.codes.join(", ")}`;
}

function ownerWords(row: {
  readonly counted_employee: number | null;
  readonly employee: string | null;
  readonly employee_department: string | null;
  readonly managing_department: string | null;
}): string {
  if (row.counted_employee === 0) return "its user has left; it waits on the hand-over list";
  if (row.employee_department !== null) return "the department of its user";
  if (row.managing_department === null) return "neither its user nor itself is in a department";
  return row.employee === null
    ? "it has no user: its managing department"
    : "its user is in no department: its managing department";
}
