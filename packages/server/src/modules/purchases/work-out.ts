/**
 * Purpose: from the cube of a moment to what a purchase run would do (domain.md §7), in slices: the rules are those of packages/licensing.
 * Only managed licences take part; departments under their codes, what belongs to none as `unassigned`.
 */
import {
  heldAt,
  neverShort,
  planLicense,
  unassigned,
  type DepartmentToPlan,
  type LicensePlan,
} from "@daicho/licensing";
import type { Metric } from "@daicho/protocol";
import type { Database, Trx } from "../../db/database.ts";
import { eachPolitely } from "../../slices.ts";
import { contractPrices, eachCounts, type Cube, type CubeLicense } from "../licenses/index.ts";

export interface Planned extends LicensePlan {
  /** Ordinal. */
  readonly ordinal: number;
  readonly metric: Metric;
}

export interface WorkedOut {
  /** Licences for which there is anything to do or to say, in the order of codes. */
  readonly licenses: readonly Planned[];
  /** Department code → ordinal. */
  readonly departments: ReadonlyMap<string, number>;
  /** Position version it is true for. */
  readonly version: number;
}

export async function workOut(
  db: Database,
  trx: Trx,
  cube: Cube,
  options: { readonly at: number; readonly pooled: (license: string) => boolean },
): Promise<WorkedOut> {
  const departments = new Map<string, number>([[unassigned, 0]]);
  const rows = new Map<number, DepartmentToPlan[]>();
  await eachPolitely(cube.rows, ([ordinal, counts]) => {
    const department = ordinal === 0 ? unassigned : cube.departments.get(ordinal)?.code;
    if (department === undefined) return;
    departments.set(department, ordinal);
    eachCounts(counts, (place, { used, rights, requested }) => {
      if (used === 0 && rights === 0) return;
      const list = rows.get(place);
      const row = { department, used, rights, requested };
      if (list === undefined) rows.set(place, [row]);
      else list.push(row);
    });
  });
  const prices = await contractPrices(
    db,
    trx,
    [...rows.keys()].flatMap((place) => cube.licenses[place]?.ordinal ?? []),
  );
  const licenses: Planned[] = [];
  await eachPolitely(cube.byCode, (place) => {
    const { ordinal, code, metric, managed } = cube.licenses[place] as CubeLicense;
    const counts = rows.get(place);
    if (!managed || counts === undefined) return;
    const holding = heldAt(cube.entitlements.get(place) ?? [], options.at);
    const plan = planLicense(
      {
        license: code,
        held: holding.held,
        unlimited: neverShort(metric, holding),
        price: prices.get(ordinal),
        pooled: options.pooled(code),
      },
      counts,
    );
    if (plan.order !== undefined || plan.skipped !== undefined || plan.rights.length > 0)
      licenses.push({ ...plan, ordinal, metric });
  });
  return { licenses, departments, version: cube.version };
}
