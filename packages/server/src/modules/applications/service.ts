/**
 * Purpose: applications (domain.md §6): file, list, decide step by step, withdraw, verify.
 * States: pending → approved | refused | withdrawn; approved → granted (by purchase runs, or at once where idle rights cover all of it) | withdrawn (what
 * is not granted yet).
 * Invariants: each call is one transaction that holds the ledger's lock; a decision is for the step that the caller saw waiting, so of two at once one wins
 * and the other is told; a step whose approver has left is passed on before anything else is done or shown; everything stored is signed (seal.ts).
 */
import { canonicalJson, sha256Hex, type Metric } from "@daicho/protocol";
import { newId, type Clock } from "@daicho/kernel";
import { unassigned } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { page, type Page } from "../../db/page.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import type { ListQuery } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import { breathe } from "../../slices.ts";
import type { AccessService, Caller } from "../access/index.ts";
import { ensureLicenses, type Positions } from "../licenses/index.ts";
import { concerns, isManager, mayDecide, mayWithdraw, nameOf, seesAll } from "./actors.ts";
import { answerOf, summaryOf, type Application, type ApplicationSummary, type Warning } from "./answer.ts";
import { createApproval, type Place } from "./approval.ts";
import { createBudgets, type Budgets } from "./budgets.ts";
import { createRecords } from "./records.ts";
import { createRoutes, openStep, skipRest, waitingFor } from "./route.ts";
import { createRegister } from "./register.ts";
import { createSeals, type ApplicationRecord } from "./seal.ts";
import { createSettlement, type RunsFollower, type Settlement } from "./settle.ts";
import { applicationStore as store } from "./store.ts";
import { createVerification, type Verification } from "./verify.ts";

export interface ApplicationInput {
  /** Code. */
  readonly department: string;
  readonly license: string;
  readonly quantity: number;
  readonly reason: string;
  /** Employee id; absent = the caller's employee, if it has one. */
  readonly applicant?: string;
  readonly acceptIdle?: boolean;
}

export interface ApplicationFilter {
  readonly state?: string;
  readonly department?: string;
  readonly license?: string;
  readonly applicant?: string;
  /** Has a step of this employee. */
  readonly approver?: string;
  /** Waits for this employee's decision, or for `role:manager`. */
  readonly waitingFor?: string;
}

export interface Decision {
  readonly decision: "approved" | "refused";
  readonly comment?: string;
  /** Decide this step and no other; absent = the one that waits when the call comes. */
  readonly step?: number;
}

export interface Applications {
  /** `idempotency`: the caller's key; the same again finds its own work done. */
  file(input: ApplicationInput, caller: Caller, idempotency?: string): Promise<Application>;
  get(id: string, caller: Caller): Promise<Application>;
  list(query: ListQuery & ApplicationFilter, caller: Caller): Promise<Page<ApplicationSummary>>;
  decide(id: string, decision: Decision, caller: Caller): Promise<Application>;
  withdraw(id: string, reason: string | undefined, caller: Caller): Promise<Application>;
  /** Checks every signature, and that requested is what is approved and outstanding. */
  readonly verifyAll: Verification;
  /** For purchase runs and reorganisations. */
  readonly settlement: Settlement;
  readonly budgets: Budgets;
}

export function createApplications(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly access: Pick<AccessService, "signer" | "root">;
  readonly positions: Pick<Positions, "cubeWithin">;
  readonly runs: RunsFollower;
  readonly timezone: string;
}): Applications {
  const { db, clock, events, timezone } = deps;
  const seals = createSeals(deps.access);
  const register = createRegister({ db, seals });
  const records = createRecords({ db, seals, register });
  const routes = createRoutes({ db });
  const budgets = createBudgets({ db, clock, timezone });
  const approval = createApproval({ db, positions: deps.positions, budgets, follower: deps.runs });

  const locked = <T>(work: (trx: Trx, at: number) => Promise<T>): Promise<T> =>
    db.transaction(async (trx) => {
      await lockLedger(trx, db.dialect);
      return work(trx, clock.now());
    });

  /** Steps that wait for someone who has left are passed on, at the latest when somebody looks. */
  async function passOnAll(): Promise<void> {
    for (let found = limit; found === limit;) {
      const waiting = await db.snapshot(async (trx) => {
        const absent = await store.absentApprovers(trx);
        return absent.length === 0 ? [] : store.waitingFor(trx, db.dialect, absent, limit);
      });
      found = waiting.length;
      if (found === 0) return;
      await locked(async (trx, at) => {
        const loaded = await records.load(
          trx,
          waiting.map((row) => row.id),
        );
        for (const record of loaded) {
          const renewed = record.row.state === "pending" ? await routes.passOn(trx, record, at) : undefined;
          if (renewed !== undefined) await records.save(trx, [renewed]);
          await breathe();
        }
      });
    }
  }

  /** @throws employee-gone */
  async function mustBePresent(trx: Trx, { employee }: Caller): Promise<void> {
    if (employee !== undefined && !(await store.present(trx, db.dialect, [employee])).has(employee))
      throw serverErrors.make("employee-gone", { employee });
  }

  /** @throws not-found, also where the caller may not know of it */
  async function visible(trx: Trx, id: string, caller: Caller): Promise<ApplicationRecord> {
    const record = await records.one(trx, id);
    if (!concerns(caller, record)) throw serverErrors.make("not-found", { what: "application", id });
    return record;
  }

  async function placeOf(trx: Trx, { row }: ApplicationRecord): Promise<Place> {
    const [department] = await store.departmentsOf(trx, db.dialect, [row.department]);
    const [license] = await store.licenseNames(trx, db.dialect, [row.license]);
    if (department === undefined || department.dissolved_at !== null || license === undefined)
      throw serverErrors.make("conflict", {
        reason: `The department of application ${row.id} has been dissolved; refuse or withdraw it`,
      });
    const { quantity } = row;
    return {
      department: row.department,
      departmentCode: department.code,
      license: row.license,
      licenseCode: license.code,
      quantity,
    };
  }

  /** For whom it is filed; undefined: for nobody in particular. */
  async function applicantOf(trx: Trx, input: ApplicationInput, caller: Caller): Promise<string | null> {
    const applicant = input.applicant ?? caller.employee;
    if (!isManager(caller) && (caller.employee === undefined || applicant !== caller.employee))
      throw serverErrors.make("not-allowed", { role: caller.role, needed: "manager" });
    if (applicant === undefined) return null;
    const found = await store.employee(trx, applicant);
    if (found === undefined) throw inputInvalid([{ path: "/applicant", message: `there is no employee ${applicant}` }]);
    if (found.left_at !== null) throw inputInvalid([{ path: "/applicant", message: `employee ${applicant} has left` }]);
    return applicant;
  }

  /** Where it is filed for. An employee files for the own department and for those below one that he or she manages. */
  async function departmentOf(trx: Trx, code: string, caller: Caller): Promise<{ ordinal: number; code: string }> {
    if (code === unassigned)
      throw inputInvalid([{ path: "/department", message: `${unassigned} is no department that can apply` }]);
    const department = await store.department(trx, code);
    if (department === undefined)
      throw inputInvalid([{ path: "/department", message: `there is no department ${code}` }]);
    if (department.dissolved_at !== null)
      throw inputInvalid([{ path: "/department", message: `department ${code} has been dissolved` }]);
    if (!isManager(caller) && caller.employee !== undefined) {
      const own = (await store.employee(trx, caller.employee))?.department;
      const chain = own === department.ordinal ? [] : await store.chain(trx, department.ordinal);
      if (own !== department.ordinal && !chain.some((above) => above.manager === caller.employee))
        throw serverErrors.make("not-allowed", { role: caller.role, needed: "manager" });
    }
    return department;
  }

  async function warningsFor(trx: Trx, place: Place, at: number): Promise<Warning[]> {
    const { department, license, licenseCode: code, quantity } = place;
    const exceeded = await budgets.exceeded(trx, { department, license, code, quantity }, at);
    return exceeded === undefined ? [] : [{ code: exceeded.code, message: exceeded.message }];
  }

  const answer = async (id: string, caller: Caller, warnings: readonly Warning[] = []): Promise<Application> =>
    db.snapshot(async (trx) => {
      const record = await visible(trx, id, caller);
      const row = await store.list(trx).where("a.id", "=", id).executeTakeFirst();
      if (row === undefined) throw serverErrors.make("not-found", { what: "application", id });
      const places = record.steps.flatMap((step) => step.department ?? []);
      const names = await store.departmentsOf(trx, db.dialect, places);
      return answerOf(row, record, {
        departments: new Map(names.map((d) => [d.ordinal, d.code])),
        signatureFaults: seals.faultsOf(record),
        warnings,
      });
    });

  return {
    budgets,
    settlement: createSettlement({ db, records, runs: deps.runs }),
    verifyAll: createVerification({ db, records, seals, register }),

    async file(input, caller, idempotency) {
      const key = idempotency === undefined ? null : sha256Hex(`${caller.tokenId}\n${idempotency}`);
      const filed = await locked(async (trx, at) => {
        await mustBePresent(trx, caller);
        const there = key === null ? undefined : await store.byIdempotency(trx, key);
        if (there !== undefined) {
          if (sameContent(there.content, input, caller)) return { id: there.id, warnings: [] };
          throw serverErrors.make("conflict", { reason: "This Idempotency-Key was used for another application" });
        }
        const applicant = await applicantOf(trx, input, caller);
        const department = await departmentOf(trx, input.department, caller);
        const { ordinals } = await ensureLicenses(db, trx, new Map([[input.license, "device" satisfies Metric]]));
        const place: Place = {
          department: department.ordinal,
          departmentCode: department.code,
          license: ordinals.get(input.license) as number,
          licenseCode: input.license,
          quantity: input.quantity,
        };
        await approval.checkQuota(trx, place);
        const warnings = await warningsFor(trx, place, at);
        const id = newId(at);
        const content = canonicalJson({
          application: id,
          ...contentOf(input, applicant),
          filedAt: new Date(at).toISOString(),
          filedBy: nameOf(caller),
        });
        const steps = await routes.first(trx, { id, department: department.ordinal, applicant });
        await records.insert(trx, {
          row: {
            id,
            idempotency: key,
            content,
            signature: seals.signContent(content),
            department: place.department,
            license: place.license,
            quantity: place.quantity,
            applicant,
            state: "pending",
            filed_at: at,
            waiting_for: waitingFor(steps),
            approved_at: null,
            closed_at: null,
            withdrawal: null,
            requested: 0,
            granted: 0,
            from_idle: null,
            seal: "",
          },
          steps,
          grants: [],
        });
        return { id, warnings };
      });
      return answer(filed.id, caller, filed.warnings);
    },

    async get(id, caller) {
      await passOnAll();
      return answer(id, caller);
    },

    async list(query, caller) {
      await passOnAll();
      let select = store.list(db.kysely);
      if (query.state !== undefined) select = select.where("a.state", "=", query.state);
      if (query.department !== undefined) select = select.where("d.code", "=", query.department);
      if (query.license !== undefined) select = select.where("l.code", "=", query.license);
      if (query.applicant !== undefined) select = select.where("a.applicant", "=", query.applicant);
      if (query.waitingFor !== undefined) select = select.where("a.waiting_for", "=", query.waitingFor);
      if (query.approver !== undefined) select = select.where(store.hasApprover(query.approver));
      if (!seesAll(caller)) select = select.where(store.concerns(caller.employee ?? ""));
      const found = await page(select, {
        dialect: db.dialect,
        query,
        fields: {
          id: { column: "a.id" },
          state: { column: "a.state" },
          department: { column: "d.code" },
          license: { column: "l.code" },
          applicant: { column: "a.applicant", nullable: true },
          waitingFor: { column: "a.waiting_for", nullable: true },
        },
      });
      return { ...found, rows: found.rows.map(summaryOf) };
    },

    async decide(id, { decision, comment, step: wanted }, caller) {
      await passOnAll();
      // Read before the lock is waited for: the decision is for what the caller could see.
      const seen = await db.snapshot((trx) => visible(trx, id, caller));
      const expected = wanted ?? openStep(seen.steps)?.place;
      await locked(async (trx, at) => {
        await mustBePresent(trx, caller);
        const record = await visible(trx, id, caller);
        const { row } = record;
        if (row.state !== "pending") throw stateError(record, decision);
        const step = openStep(record.steps);
        if (step === undefined || step.place !== expected)
          throw serverErrors.make("step-decided", { id, step: expected ?? 0 });
        const { onBehalf } = mayDecide(caller, row, step);
        const before = record.steps.reduce((last, s) => s.signature ?? last, row.signature);
        const decided = {
          ...step,
          state: decision,
          decided_at: at,
          decided_by: nameOf(caller),
          on_behalf: onBehalf ? 1 : 0,
          comment: comment ?? null,
        };
        const signed = { ...decided, signature: seals.signDecision(row, decided, before) };
        const steps = record.steps.map((s) => (s.place === step.place ? signed : s));
        if (decision === "refused")
          return records.save(trx, [
            { ...record, row: { ...row, state: "refused", waiting_for: null, closed_at: at }, steps: skipRest(steps) },
          ]);
        const waiting = waitingFor(steps);
        const after =
          waiting === null
            ? await approval.carryOut(trx, row, await placeOf(trx, record), at)
            : { ...row, waiting_for: waiting };
        return records.save(trx, [{ ...record, row: after, steps }]);
      });
      events.emit("positions-changed", {});
      return answer(id, caller);
    },

    async withdraw(id, reason, caller) {
      await locked(async (trx, at) => {
        await mustBePresent(trx, caller);
        const record = await visible(trx, id, caller);
        const { row } = record;
        mayWithdraw(caller, row, (JSON.parse(row.content) as { filedBy: string }).filedBy);
        if (row.state !== "pending" && row.state !== "approved") throw stateError(record, "withdrawn");
        if (row.state === "approved") await approval.takeBack(trx, row, at);
        const withdrawal = canonicalJson({ by: nameOf(caller), reason });
        await records.save(trx, [
          {
            ...record,
            row: { ...row, state: "withdrawn", waiting_for: null, closed_at: at, withdrawal },
            steps: skipRest(record.steps),
          },
        ]);
      });
      events.emit("positions-changed", {});
      return answer(id, caller);
    },
  };
}

const limit = 200;

function contentOf(input: ApplicationInput, applicant: string | null): Record<string, unknown> {
  const { department, license, quantity, reason, acceptIdle = false } = input;
  return { department, license, quantity, reason, applicant, acceptIdle };
}

function sameContent(content: string, input: ApplicationInput, caller: Caller): boolean {
  const held = JSON.parse(content) as Record<string, unknown>;
  return Object.entries(contentOf(input, input.applicant ?? caller.employee ?? null)).every(
    ([name, value]) => held[name] === value,
  );
}

function stateError({ row }: ApplicationRecord, wanted: string): Error {
  return serverErrors.make("application-state", { id: row.id, state: row.state, wanted });
}
