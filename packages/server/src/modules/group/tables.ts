/** At a group server: each company's corporate licence inventory as last received (domain.md §6, §7). */
export interface GroupTables {
  grp_companies: {
    name: string;
    /** Node id of the company's server. */
    node: string;
    version: number;
    policy: number;
    devices: number;
    /** When the company made it, and when it arrived. */
    at: number;
    received_at: number;
    /** Position[] as JSON. */
    positions: string;
    /** Which licences it leaves to the group to buy: true, false or their codes, as JSON. */
    pooled: string;
  };
  /** One row (id 1): what enrolling at the group above gave - certificate and pinned root (JSON). Several servers on one database share it. */
  grp_upstream: { id: number; enrollment: string; enrolled_at: number };
}
