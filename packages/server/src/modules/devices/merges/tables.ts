import type { Generated } from "kysely";

/** Devices that turned out to be one machine (design.md "Clones"). */
export interface MergeTables {
  dev_merges: {
    ordinal: Generated<number>;
    id: string;
    /** The device that stays, and the one that went into it. */
    kept: number;
    gone: number;
    /** 1 where what reported for the two was exchanged, because the one that went was the one that reports. */
    exchanged: number;
    at: number;
    undone_at: number | null;
    /** JSON list of ids: allocations that followed to the one that stays, or ended. */
    allocations: string | null;
  };
  /** A new key enrolled with the serial number of a device that another key holds. */
  dev_merge_offers: { device: number; candidate: number; serial: string; at: number };
}
