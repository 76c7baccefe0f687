import type { Generated } from "kysely";

export interface ScimTables {
  /** What an identity provider calls a User: an employee, and what it sent that the ledger has no place for. */
  scim_users: {
    ordinal: Generated<number>;
    /** The SCIM id. */
    id: string;
    user_name: string;
    /** userName in lower case: it is unique without regard to case. */
    user_key: string;
    external_id: string | null;
    /** Ordinal of the employee. */
    employee: number;
    /** Department of someone who has left and may return; 0 = none, null = the one the ledger remembers. */
    away_department: number | null;
    /** As sent, in the schema's spelling (JSON). */
    resource: string;
    created_at: number;
    changed_at: number;
  };
  scim_groups: {
    ordinal: Generated<number>;
    id: string;
    external_id: string | null;
    /** displayName as last sent; of a department's group the department's name counts. */
    name: string;
    /** Ordinal of the department; null where groups are no departments. */
    department: number | null;
    resource: string;
    /** Rises with every change made through SCIM. */
    version: Generated<number>;
    created_at: number;
    changed_at: number;
  };
  /** Who is in a group that is no department. */
  scim_members: {
    of_group: number;
    /** Ordinal of a user; 0 where the member is a group. */
    member_user: number;
    member_group: number;
  };
}
