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
    /** Id of the node directly below this server through which it was last heard of; its own id when by itself. */
    via: string | null;
    /** Id of the enrolment token that let it in. */
    token: string | null;
    /** Set when an administrator removed it: its certificate still holds, its reports are refused. */
    removed_at: number | null;
  };
}
