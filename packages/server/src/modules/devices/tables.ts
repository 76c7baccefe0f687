import type { Generated } from "kysely";

/** The hardware ledger (domain.md §4, §8). */
export interface DeviceTables {
  dev_devices: {
    /** Dense; bitmaps and the licence repository are keyed by it. Never reused. */
    ordinal: Generated<number>;
    /** The customer's id (CSV) or the identity's. */
    id: string;
    hostname: string;
    serial: string | null;
    /** Ordinal of the user. */
    employee: number | null;
    /** Ordinal of the managing department. */
    department: number | null;
    /** Employee id of who manages it. */
    manager: string | null;
    /** in-use | idle | disposed */
    state: string;
    /** csv | enrollment | import | api: how it came into the ledger. */
    origin: string;
    created_at: number;
    /** The device it turned out to be the same machine as (merges/): it counts for nobody and is shown no more. */
    merged_into: number | null;
    /** The device whose key this machine reported with before it had its own (ingest/clones.ts). */
    split_from: number | null;
  };
}
