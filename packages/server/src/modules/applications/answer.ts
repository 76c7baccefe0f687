/** Purpose: applications as the API shows them. */
import type { FromIdle } from "./approval.ts";
import type { ApplicationRecord, ApplicationRow, StepRow } from "./seal.ts";
import { iso } from "../../times.ts";

export const applicationStates = ["pending", "approved", "refused", "withdrawn", "granted"] as const;

export interface ApplicationSummary {
  readonly id: string;
  readonly state: string;
  /** Codes of today; `filed` has those of the day it was filed. */
  readonly department: string;
  readonly license: string;
  readonly name: string;
  readonly quantity: number;
  readonly reason: string;
  readonly applicant?: string;
  readonly acceptIdle: boolean;
  readonly filedAt: string;
  readonly filedBy: string;
  /** Employee id, or `role:manager`. */
  readonly waitingFor?: string;
  readonly approvedAt?: string;
  readonly closedAt?: string;
  /** Added to the department's requested, and how many of them were granted since. */
  readonly requested: number;
  readonly granted: number;
  readonly fromIdle?: readonly FromIdle[];
}

export interface Step {
  readonly step: number;
  /** Employee id; absent where the role decides. */
  readonly approver?: string;
  readonly role?: "manager";
  /** Whose manager the approver is. */
  readonly department?: string;
  readonly state: string;
  readonly decidedAt?: string;
  readonly decidedBy?: string;
  readonly onBehalf?: boolean;
  readonly comment?: string;
  readonly signature?: string;
}

export interface Warning {
  readonly code: string;
  readonly message: string;
}

export interface Application extends ApplicationSummary {
  readonly withdrawal?: { readonly by: string; readonly reason?: string };
  readonly steps: readonly Step[];
  readonly grants: readonly { readonly run: string; readonly quantity: number; readonly at: string }[];
  /** Nothing stored about it was changed by anything but the server. */
  readonly signaturesValid: boolean;
  /** What was: `content`, `step 2`, `record`. */
  readonly signatureFaults?: readonly string[];
  readonly warnings?: readonly Warning[];
}

interface Listed extends ApplicationRow {
  readonly department_code: string;
  readonly license_code: string;
  readonly license_name: string;
}

export function summaryOf(row: Listed): ApplicationSummary {
  const { reason, acceptIdle, filedBy } = contentOf(row);
  return {
    id: row.id,
    state: row.state,
    department: row.department_code,
    license: row.license_code,
    name: row.license_name,
    quantity: row.quantity,
    reason,
    ...(row.applicant !== null && { applicant: row.applicant }),
    acceptIdle,
    filedAt: iso(row.filed_at),
    filedBy,
    ...(row.waiting_for !== null && { waitingFor: row.waiting_for }),
    ...(row.approved_at !== null && { approvedAt: iso(row.approved_at) }),
    ...(row.closed_at !== null && { closedAt: iso(row.closed_at) }),
    requested: row.requested,
    granted: row.granted,
    ...(row.from_idle !== null && { fromIdle: read<FromIdle[]>(row.from_idle, []) }),
  };
}

export function answerOf(
  row: Listed,
  { steps, grants }: ApplicationRecord,
  more: {
    readonly departments: ReadonlyMap<number, string>;
    readonly signatureFaults: readonly string[];
    readonly warnings: readonly Warning[];
  },
): Application {
  const { signatureFaults, warnings } = more;
  return {
    ...summaryOf(row),
    ...(row.withdrawal !== null && { withdrawal: read<{ by: string; reason?: string }>(row.withdrawal, { by: "" }) }),
    steps: steps.map((step) => stepOf(step, more.departments)),
    grants: grants.map((grant) => ({ run: grant.source, quantity: grant.quantity, at: iso(grant.at) })),
    signaturesValid: signatureFaults.length === 0,
    ...(signatureFaults.length > 0 && { signatureFaults }),
    ...(warnings.length > 0 && { warnings }),
  };
}

function stepOf(step: StepRow, departments: ReadonlyMap<number, string>): Step {
  const department = step.department === null ? undefined : departments.get(step.department);
  return {
    step: step.place,
    ...(step.approver === null ? { role: "manager" } : { approver: step.approver }),
    ...(department !== undefined && { department }),
    state: step.state,
    ...(step.decided_at !== null && { decidedAt: iso(step.decided_at) }),
    ...(step.decided_by !== null && { decidedBy: step.decided_by, onBehalf: step.on_behalf === 1 }),
    ...(step.comment !== null && { comment: step.comment }),
    ...(step.signature !== null && { signature: step.signature }),
  };
}

function contentOf(row: ApplicationRow): { reason: string; acceptIdle: boolean; filedBy: string } {
  const content = read<Partial<{ reason: string; acceptIdle: boolean; filedBy: string }>>(row.content, {});
  return {
    reason: content.reason ?? "",
    acceptIdle: content.acceptIdle === true,
    filedBy: content.filedBy ?? "",
  };
}

/** A text that someone damaged is shown as nothing, and the seal tells that it is damaged. */
function read<T>(text: string, nothing: T): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    return nothing;
  }
}
