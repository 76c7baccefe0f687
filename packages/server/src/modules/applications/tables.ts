/** Applications for licences (domain.md §6), their approval routes, and the budgets they are checked against. */
export interface ApplicationTables {
  app_applications: {
    id: string;
    /** Hash of caller and Idempotency-Key. */
    idempotency: string | null;
    /** What was applied for, canonical JSON as it was filed; never changed. */
    content: string;
    /** Over `content`; the first link of the chain that the decisions continue. */
    signature: string;
    /** Ordinals; a reorganisation hands open applications on to another department. */
    department: number;
    license: number;
    quantity: number;
    /** Employee id. */
    applicant: string | null;
    /** pending · approved · refused · withdrawn · granted */
    state: string;
    filed_at: number;
    /** Whose decision is awaited: an employee id or `role:manager`; null where nobody's is. */
    waiting_for: string | null;
    approved_at: number | null;
    /** When it was refused, withdrawn or fully granted. */
    closed_at: number | null;
    /** Who withdrew it and why, as canonical JSON. */
    withdrawal: string | null;
    /** How many the approval added to the department's requested. */
    requested: number;
    /** How many of them purchase runs have granted. */
    granted: number;
    /** Idle rights that were moved to the department instead, as canonical JSON. */
    from_idle: string | null;
    /** Signature over everything stored about the application, renewed with every change. */
    seal: string;
  };
  app_steps: {
    application: string;
    /** 1 = first. */
    place: number;
    /** Whose manager the approver is (ordinal); null for a step of the licence manager. */
    department: number | null;
    /** Employee id; null = whoever has the role manager. */
    approver: string | null;
    /** open · approved · refused · passed (the approver left before deciding, and others were asked) */
    state: string;
    decided_at: number | null;
    /** Employee id, or `token:<id>`. */
    decided_by: string | null;
    on_behalf: number;
    comment: string | null;
    /** Over the decision and the signature before. */
    signature: string | null;
  };
  /** What purchase runs granted. */
  app_grants: { application: string; source: string; quantity: number; at: number };
  /** One row: what shows that none was taken away or put back (register.ts). */
  app_register: { id: number; applications: number; sum: string; seal: string };
  app_budgets: {
    cost_centre: string;
    /** `2026` or `2026-11` */
    period: string;
    /** Minor units of `currency`. */
    amount: number;
    currency: string;
    changed_at: number;
  };
}
