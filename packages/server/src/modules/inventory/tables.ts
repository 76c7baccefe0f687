import type { Generated } from "kysely";

/** Facts as they came (design.md "Facts, then everything else derived"). */
export interface InventoryTables {
  /** A key that reports. Reports are attached to identities; an identity is attached to a device, so a merge can be undone. */
  inv_identities: {
    /** 32 hex digits, packed (compact.ts): hash of the public key. */
    id: Buffer;
    /** The 32 bytes. */
    public_key: Buffer;
    device: number;
    /** MachineEvidence from enrolment, packed. */
    evidence: Buffer | null;
    enrolled_at: number;
    /** Enrolment token used. */
    token: string | null;
    /** Evidence hash of the first report accepted, packed: tells the original from a clone once the identity has forked. */
    first_evidence: Buffer | null;
    /** When two machines were noticed to report with this key. */
    forked_at: number | null;
  };
  /** Small and hot: where each device's reporting stands. */
  inv_heads: {
    device: number;
    /** Packed, as in inv_identities; `import` where files alone speak for the device. */
    identity: Buffer;
    epoch: number;
    seq: number;
    /** 32 bytes: digest of the state held. */
    digest: Buffer;
    /** Packed. */
    evidence: Buffer | null;
    /** Dictionary version the agent holds. */
    dictionary: number;
    /** When the newest report was made, by the device's clock; received_at is ours. */
    made_at: number;
    received_at: number;
    scanned_at: number;
    /** Generation of the policy the licences were derived with; lower than current = to be derived again. */
    generation: number;
  };
  inv_states: {
    device: number;
    /** What `titles` is relative to (bases.ts); null = nothing. */
    base: number | null;
    /** Packed sorted title ids, or what is more and less than the base. */
    titles: Buffer;
    /** The sections as sent: see protocol/state.ts. Empty `probes` = no hits. */
    details: Buffer;
    probes: Buffer;
    machine: Buffer;
    /** Last scan's information (times, errors), deflated; not part of the state. */
    scan: Buffer | null;
    /** Codes asserted by an imported inventory (JSON), where its titles do not yield them. */
    asserted: string | null;
  };
  /** Sets of titles that many devices share: immutable, `id` is the hash of the bytes. */
  inv_bases: { id: number; titles: Buffer };
  inv_titles: {
    id: Generated<number>;
    hash: Buffer;
    source: string;
    name: string;
    version: string;
    publisher: string | null;
    arch: string | null;
    identifier: string | null;
    first_seen_at: number;
  };
  /** Append-only: each change of a device's titles; feeds the postings and the history. */
  inv_changes: { id: Generated<number>; device: number; at: number; change: Buffer };
  /** Which devices have a title: containers of 65,536 ordinals (ordinals.ts) in pieces, written behind from inv_changes. */
  inv_postings: { chunk: number; title: number; part: number; piece: Buffer };
  /**
   * Numbers of reports that a device made and that never came, with the node that brought what showed it (ingest/missing.ts); `via` null: it came
   * and was refused, so it is not missing.
   */
  inv_missing: { identity: string; epoch: number; seq: number; via: string | null; at: number };
  /** Hardware that reported with a key copied from other hardware, until it reports with one of its own (ingest/clones.ts); both packed. */
  inv_clones: { evidence: Buffer; identity: Buffer; at: number };
  /** Named positions in inv_changes up to which derived data is merged. */
  inv_marks: { name: string; change: number };
}
