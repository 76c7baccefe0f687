/**
 * Purpose: the agent's spool of envelopes as reporter and sender see it. A report is durable here before it is sent.
 * Records this process appended and has not sent yet are `fresh`: an answer `duplicate` to such a one says that the node
 * above knows numbers that this agent does not remember using.
 */
import { openEnvelope, type ReportHeader } from "@daicho/protocol";
import type { Spool } from "@daicho/spool";

export interface Outgoing {
  readonly position: number;
  readonly bytes: Buffer;
  /** undefined where the record is no envelope. */
  readonly header: ReportHeader | undefined;
  readonly fresh: boolean;
}

export interface Outbox {
  /** @throws spool-full, spool-io … */
  append(envelope: Uint8Array): Promise<number>;
  /** Oldest first. */
  read(maxRecords: number, maxBytes: number): Promise<readonly Outgoing[]>;
  /** Says that these have been handed to the network. */
  sent(records: readonly Outgoing[]): void;
  /** Everything up to this position is done. */
  done(position: number): Promise<void>;
  /** Everything before this position will never be sent: a later report says it all. */
  dropBefore(position: number): Promise<void>;
  readonly pending: number;
  readonly last: number;
}

export function createOutbox(spool: Pick<Spool, "append" | "read" | "ack" | "stats">): Outbox {
  const fresh = new Set<number>();
  const ack = async (position: number): Promise<void> => {
    await spool.ack(position);
    for (const one of fresh) if (one <= position) fresh.delete(one);
  };
  return {
    async append(envelope) {
      const { last } = await spool.append([envelope]);
      fresh.add(last);
      return last;
    },
    async read(maxRecords, maxBytes) {
      const records = await spool.read(0, { maxRecords, maxBytes });
      return records.map(({ position, data }) => {
        const opened = openEnvelope(data);
        const header = opened.ok ? opened.envelope.header : undefined;
        return { position, bytes: data, header, fresh: fresh.has(position) };
      });
    },
    sent(records) {
      for (const { position } of records) fresh.delete(position);
    },
    done: ack,
    dropBefore: (position) => ack(position - 1),
    get pending() {
      return spool.stats().records;
    },
    get last() {
      return spool.stats().last;
    },
  };
}
