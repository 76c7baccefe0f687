/**
 * Purpose: what the last approval does to the ledger, and what withdrawing undoes of it: idle rights are moved where the applicant accepts them, the rest is
 * added to requested (domain.md §6), within quota and budget.
 * Invariants: quota and budget are judged by what is true in this transaction, which holds the ledger's lock, so two approvals cannot both take the
 * last of either; idle rights are taken from nobody who uses or awaits them.
 */
import { heldAt, neverShort, takeIdle, unassigned, type IdleSource, type RightsMove } from "@daicho/licensing";
import { canonicalJson } from "@daicho/protocol";
import type { Database, Trx } from "../../db/database.ts";
import { serverErrors } from "../../errors.ts";
import {
  adjustRights,
  eachCounts,
  maxRights,
  rightsAndQuota,
  touchPositions,
  type Positions,
  type RightsChange,
} from "../licenses/index.ts";
import type { Budgets } from "./budgets.ts";
import type { ApplicationRow } from "./seal.ts";
import type { RunsFollower } from "./settle.ts";

/** Where idle rights came from; without a department: held by the company and given to none. */
export interface FromIdle {
  readonly department?: string;
  readonly quantity: number;
}

export interface Place {
  readonly department: number;
  readonly departmentCode: string;
  readonly license: number;
  readonly licenseCode: string;
  readonly quantity: number;
}

export interface Approval {
  /** @throws quota-exceeded */
  checkQuota(trx: Trx, place: Place): Promise<void>;
  /** The row as it is after the last approval. @throws quota-exceeded, budget-exceeded, budget-currency */
  carryOut(trx: Trx, row: ApplicationRow, place: Place, at: number): Promise<ApplicationRow>;
  /** Takes what is outstanding out of requested. */
  takeBack(trx: Trx, row: ApplicationRow, at: number): Promise<void>;
}

export function createApproval(deps: {
  readonly db: Database;
  readonly positions: Pick<Positions, "cubeWithin">;
  readonly budgets: Budgets;
  readonly follower: Pick<RunsFollower, "rightsMoved">;
}): Approval {
  const { db, positions, budgets, follower } = deps;

  async function checkQuota(trx: Trx, place: Place): Promise<void> {
    const { rights, requested, quota } = await rightsAndQuota(db, trx, place);
    const wanted = rights + requested + place.quantity;
    const limit = Math.min(quota ?? maxRights, maxRights);
    if (wanted > limit)
      throw serverErrors.make("quota-exceeded", {
        quantity: place.quantity,
        department: place.departmentCode,
        license: place.licenseCode,
        wanted,
        quota: limit,
      });
  }

  /** Idle rights for the application, and the changes of rights that taking them is. */
  async function idleFor(
    trx: Trx,
    place: Place,
    at: number,
  ): Promise<{ moves: RightsMove[]; changes: RightsChange[]; fromIdle: FromIdle[]; rest: number }> {
    const cube = await positions.cubeWithin(trx);
    const at_ = cube.licenses.findIndex((license) => license.ordinal === place.license);
    const departments: IdleSource<number>[] = [];
    for (const [department, rows] of cube.rows)
      eachCounts(rows, (licensePlace, { rights, used, requested }) => {
        if (licensePlace !== at_) return;
        const code = cube.departments.get(department)?.code ?? unassigned;
        departments.push({ department, code, rights, used, requested });
      });
    const holding = heldAt(cube.entitlements.get(at_) ?? [], at);
    const metric = cube.licenses[at_]?.metric ?? "device";
    const taken = takeIdle({
      quantity: place.quantity,
      applicant: place.department,
      held: neverShort(metric, holding) ? Infinity : holding.held,
      departments,
    });
    const codes = new Map(departments.map((d) => [d.department, d.code]));
    const had = new Map(departments.map((d) => [d.department, d.rights]));
    return {
      moves: taken.fromDepartments.map(({ department: from, quantity: rights }) => ({
        from,
        to: place.department,
        license: place.license,
        rights,
        left: (had.get(from) ?? 0) - rights,
      })),
      changes: taken.fromDepartments.map(({ department, quantity }) => ({
        department,
        license: place.license,
        rights: -quantity,
      })),
      fromIdle: [
        ...(taken.fromCompany > 0 ? [{ quantity: taken.fromCompany }] : []),
        ...taken.fromDepartments.map(({ department, quantity }) => ({
          department: codes.get(department) ?? unassigned,
          quantity,
        })),
      ],
      rest: taken.rest,
    };
  }

  return {
    checkQuota,

    async carryOut(trx, row, place, at) {
      await checkQuota(trx, place);
      const { department, license, quantity } = place;
      const acceptIdle = (JSON.parse(row.content) as { acceptIdle: boolean }).acceptIdle;
      const { moves, changes, fromIdle, rest } = acceptIdle
        ? await idleFor(trx, place, at)
        : { moves: [], changes: [], fromIdle: [], rest: quantity };
      const exceeded = await budgets.exceeded(
        trx,
        { department, license, code: place.licenseCode, quantity: rest },
        at,
      );
      if (exceeded !== undefined) throw exceeded;
      const touched = await adjustRights(
        db,
        trx,
        [...changes, { department, license, rights: quantity - rest, requested: rest }],
        at,
      );
      if (moves.length > 0) await follower.rightsMoved(trx, moves);
      await touchPositions(db, trx, at, { departments: touched });
      return {
        ...row,
        state: rest === 0 ? "granted" : "approved",
        waiting_for: null,
        approved_at: at,
        closed_at: rest === 0 ? at : null,
        requested: rest,
        from_idle: fromIdle.length === 0 ? null : canonicalJson(fromIdle),
      };
    },

    async takeBack(trx, row, at) {
      const { department, license } = row;
      const { requested } = await rightsAndQuota(db, trx, row);
      const touched = await adjustRights(
        db,
        trx,
        [{ department, license, requested: -Math.min(requested, row.requested - row.granted) }],
        at,
      );
      if (touched.size > 0) await touchPositions(db, trx, at, { departments: touched });
    },
  };
}
