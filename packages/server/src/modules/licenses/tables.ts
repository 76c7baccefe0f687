import type { Generated } from "kysely";

/** Licences: what is used (repository and counters), what was bought (entitlements), what departments may use (rights). */
export interface LicenseTables {
  /** Every licence code ever counted, with its dense ordinal. */
  lic_licenses: {
    ordinal: Generated<number>;
    code: string;
    name: string;
    metric: string;
    managed: number;
    /** Of a variant - the unmanaged installations of a licence - the licence's ordinal and their class; its code is nobody's, and `managed` is 0. */
    base: number | null;
    class: string | null;
  };
  /** The licence repository, open intervals: what each device uses since when, for whom. One row per device. */
  lic_repository: {
    device: number;
    since: number;
    /** 0 = the device waits on the hand-over list: nobody uses it, so licences counted by user count nothing on it. */
    employee: number | null;
    /** 0 = unassigned. */
    department: number;
    /** Packed (licence ordinal, count) pairs, sorted: `repository/pack.ts`. */
    licenses: Buffer;
    /** Why it was opened: causes.ts of packages/licensing. */
    cause: number;
  };
  /** The same, closed intervals. */
  lic_history: {
    device: number;
    since: number;
    until: number;
    employee: number | null;
    department: number;
    licenses: Buffer;
    cause: number;
    /** Why it was closed. */
    closed: number;
  };
  /** used per department (0 = unassigned) and licence; equals what the repository adds up to. */
  lic_usage: { department: number; license: number; used: number };
  /** For user-metric licences: on how many devices an employee of that department uses it. */
  lic_user_usage: { employee: number; department: number; license: number; devices: number };
  lic_entitlements: {
    id: string;
    license: number;
    metric: string;
    quantity: number;
    /** Minor units of `currency`. */
    unit_price: number | null;
    currency: string | null;
    purchased_at: number | null;
    starts_at: number | null;
    expires_at: number | null;
    /** Rights attached, as written; @daicho/licensing parseAttachedRights reads them. */
    rights: string | null;
    contract: string | null;
    order_no: string | null;
    department: number | null;
    certificate: string | null;
    supplier: string | null;
    /** Id of the entitlement this one belongs to: maintenance to its licence, a subscription to the one it renews. */
    parent: string | null;
    /** Employee id. */
    manager: string | null;
    /** Licences in one of `quantity`; units held = quantity × this. */
    pack_size: number;
    created_at: number;
    /** Set when a later edit or removal replaced this row: entitlements keep their history. */
    replaced_at: number | null;
  };
  /** rights, required and requested per department and licence, now. */
  lic_rights: { department: number; license: number; rights: number; required: number; requested: number };
  /** Each change of a lic_rights row, its making among them: the values that were true until `until`. */
  lic_rights_history: {
    id: Generated<number>;
    department: number;
    license: number;
    rights: number;
    required: number;
    requested: number;
    until: number;
    /** Why they changed then. */
    cause: number;
  };
  /** One row (id 1): the position version, a number that rises with every change of a count. */
  lic_version: { id: number; version: number; changed_at: number };
}
