/** Organisation changes: planned, applied, failed, cancelled (modules/organization/changes). */
export interface OrgChangeTables {
  org_changes: {
    id: string;
    /** Counts up; planned changes of one day are applied in this order. */
    place: number;
    /** planned | applied | failed | cancelled */
    state: string;
    /** Date (in the organisation's time zone) at whose start it is applied; null: at once. */
    effective_on: string | null;
    /** Types of the changes, each once, with commas between. */
    types: string;
    /** JSON: the changes as they were asked for. */
    changes: string;
    idempotency_key: string | null;
    /** SHA-256 of the request, by which a repeated one is known. */
    digest: string;
    created_at: number;
    /** Id of the API token. */
    created_by: string;
    /** When it was applied, failed or cancelled. */
    done_at: number | null;
    /** JSON: code, message and faults, where it no longer fitted. */
    failure: string | null;
  };
  /** What came of applied changes, in parts: 10,000 people who move make megabytes. */
  org_change_outcomes: {
    change: string;
    place: number;
    /** JSON: an outcome of some of it. */
    part: string;
  };
}
