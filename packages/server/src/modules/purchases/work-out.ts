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

interface Options {
  readonly at: number;
  readonly pooled: (license: string) => boolean;
  /** The numbers, as if so many more (by the licence's ordinal) had been bought. */
  readonly cube: (bought: ReadonlyMap<number, number>) => Promise<Cube>;
}

/** What is bought can change which installation an attached right covers, and so who uses what; seen to change once, never more than twice. */
const mostRounds = 6;

/** Plans by what will be used once the order is there, so that afterwards rights = used in every department. */
export async function workOut(db: Database, trx: Trx, options: Options): Promise<WorkedOut> {
  let bought: ReadonlyMap<number, number> = new Map();
  for (let round = 1; ; round++) {
    const cube = await options.cube(bought);
    const plan = await planFor(db, trx, cube, options);
    const wanted = new Map(
      plan.licenses.flatMap(({ ordinal, order }) =>
        order ? [[ordinal, order.quantity * (order.packSize ?? 1)] as const] : [],
      ),
    );
    const settled = wanted.size === bought.size && [...wanted].every(([license, n]) => bought.get(license) === n);
    if (cube.coverage === undefined || settled || round === mostRounds) return plan;
    bought = wanted;
  }
}

async function planFor(db: Database, trx: Trx, cube: Cube, options: Options): Promise<WorkedOut> {
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
