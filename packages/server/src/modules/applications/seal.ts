/**
 * Purpose: what makes a later change of an application show. Four kinds of signature, all by the server's signing key: over what was filed; over each
 * decision together with the signature before it (a chain from the filing to the last decision); the seal, over everything stored about the
 * application, renewed by whoever changes it; and one over the register of all seals (register.ts).
 * Invariants: every stored column is covered by the seal, so a value, a step or a grant that was changed, added or taken away is found; the columns
 * are listed here by name, so a column added later leaves older seals valid.
 */
import type { KeyObject } from "node:crypto";
import {
  canonicalJson,
  importPublicKey,
  sha256Hex,
  verifySignature,
  type Signer,
  type TrustRoot,
} from "@daicho/protocol";
import type { Schema } from "../../db/schema.ts";

export type ApplicationRow = Schema["app_applications"];
export type StepRow = Schema["app_steps"];
export type GrantRow = Schema["app_grants"];

/** All that is stored about one application. */
export interface ApplicationRecord {
  readonly row: ApplicationRow;
  /** In their order. */
  readonly steps: readonly StepRow[];
  readonly grants: readonly GrantRow[];
}

export const licenseManager = "role:manager";

export interface Seals {
  /** For the row of a new application. */
  signContent(content: string): string;
  /** The step's signature; `before` is the signature of the step decided before it, else the filing's. */
  signDecision(row: Pick<ApplicationRow, "id" | "content">, step: StepRow, before: string): string;
  /** The record with its seal renewed. */
  sealed(record: ApplicationRecord): ApplicationRecord;
  signRegister(register: RegisterNumbers): string;
  isRegister(register: RegisterNumbers & { readonly seal: string }): boolean;
  /** What does not agree with its signature: `content`, `step 2`, `record`. Empty = all is as it was written. */
  faultsOf(record: ApplicationRecord): readonly string[];
}

export interface RegisterNumbers {
  readonly applications: number;
  readonly sum: string;
}

const types = {
  content: "application/v1",
  decision: "application-decision/v1",
  record: "application-record/v1",
  register: "application-register/v1",
} as const;

export function createSeals(keys: { signer(): Signer; root(): TrustRoot }): Seals {
  const imported = new Map<string, KeyObject | undefined>();
  const keyOf = (id: string): KeyObject | undefined => {
    if (!imported.has(id)) {
      const known = keys.root().keys.find((key) => key.id === id);
      imported.set(id, known && importPublicKey(known.publicKey));
    }
    return imported.get(id);
  };
  const sign = (type: string, text: string): string => {
    const signer = keys.signer();
    return `${signer.keyId}.${signer.sign(Buffer.from(`${type}\n${text}`, "utf8")).toString("base64url")}`;
  };
  const verifies = (type: string, text: string, signature: string | null): boolean => {
    const [id, value] = (signature ?? "").split(".", 2);
    const key = keyOf(id ?? "");
    return (
      key !== undefined &&
      verifySignature(key, Buffer.from(`${type}\n${text}`, "utf8"), Buffer.from(value ?? "", "base64url"))
    );
  };
  return {
    signContent: (content) => sign(types.content, content),
    signDecision: (row, step, before) => sign(types.decision, decisionText(row, step, before)),
    sealed: (record) => ({
      ...record,
      row: { ...record.row, seal: sign(types.record, recordText(record)) },
    }),
    signRegister: (register) => sign(types.register, registerText(register)),
    isRegister: (register) => verifies(types.register, registerText(register), register.seal),
    faultsOf(record) {
      const { row, steps } = record;
      const faults: string[] = [];
      if (!verifies(types.content, row.content, row.signature)) faults.push("content");
      let before = row.signature;
      for (const step of steps) {
        if (!isDecided(step)) continue;
        if (!verifies(types.decision, decisionText(row, step, before), step.signature))
          faults.push(`step ${step.place}`);
        before = step.signature ?? "";
      }
      if (!verifies(types.record, recordText(record), row.seal)) faults.push("record");
      return faults;
    },
  };
}

export function isDecided(step: Pick<StepRow, "state">): boolean {
  return step.state === "approved" || step.state === "refused";
}

function decisionText(row: Pick<ApplicationRow, "id" | "content">, step: StepRow, before: string): string {
  return canonicalJson({
    application: row.id,
    content: sha256Hex(row.content),
    step: step.place,
    decision: step.state,
    approver: step.approver,
    decidedBy: step.decided_by,
    onBehalf: step.on_behalf === 1,
    comment: step.comment,
    at: step.decided_at,
    before,
  });
}

function registerText({ applications, sum }: RegisterNumbers): string {
  return canonicalJson({ applications, sum });
}

function recordText({ row, steps, grants }: ApplicationRecord): string {
  return canonicalJson({
    application: [
      row.id,
      row.idempotency,
      row.content,
      row.signature,
      row.department,
      row.license,
      row.quantity,
      row.applicant,
      row.state,
      row.filed_at,
      row.waiting_for,
      row.approved_at,
      row.closed_at,
      row.withdrawal,
      row.requested,
      row.granted,
      row.from_idle,
    ],
    steps: steps.map((s) => [
      s.place,
      s.department,
      s.approver,
      s.state,
      s.decided_at,
      s.decided_by,
      s.on_behalf,
      s.comment,
      s.signature,
    ]),
    grants: [...grants].sort((a, b) => (a.source < b.source ? -1 : 1)).map((g) => [g.source, g.quantity, g.at]),
  });
}
