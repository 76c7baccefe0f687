/** Nodes of this company (and, at a group, of the companies below) with what they hold (domain.md §2, fig. 11). */
export interface NodeTables {
  node_nodes: {
    id: string;
    /** relay | server | agent (agents only when something failed) */
    kind: string;
    name: string;
    company: string;
    parent: string | null;
    public_key: string | null;
    /** NodeStatus as last reported (JSON); null until the first report. */
    status: string | null;
    enrolled_at: number | null;
    last_seen_at: number;
  };
}
