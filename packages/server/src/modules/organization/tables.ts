import type { Generated } from "kysely";

export interface OrganizationTables {
  /** Ordinal 0 is never used: it stands for "unassigned" in counts. */
  org_departments: {
    ordinal: Generated<number>;
    code: string;
    name: string;
    /** Ordinal of the department above. */
    parent: number | null;
    cost_centre: string | null;
    /** Employee id. */
    manager: string | null;
    created_at: number;
    dissolved_at: number | null;
    /** Ordinal of who took over. */
    merged_into: number | null;
  };
  /** Each change of a department: what was true until `until`, so that a past roll-up follows the tree as it was then. */
  org_department_history: {
    id: Generated<number>;
    department: number;
    code: string;
    name: string;
    parent: number | null;
    until: number;
  };
  org_employees: {
    ordinal: Generated<number>;
    id: string;
    name: string;
    mail: string | null;
    department: number | null;
    title: string | null;
    /** Employee id. */
    manager: string | null;
    created_at: number;
    left_at: number | null;
  };
}
