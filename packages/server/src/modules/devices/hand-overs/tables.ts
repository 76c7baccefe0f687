/** The hand-over list: devices whose user left (domain.md §6). */
export interface HandOverTables {
  dev_handovers: {
    id: string;
    device: number;
    /** Ordinal of who left. */
    employee: number;
    since: number;
    /** null: still on the list. At most one such entry per device. */
    done_at: number | null;
    /** Who has it now, JSON: { employee } | { department } | { disposed: true }. */
    done_to: string | null;
  };
}
