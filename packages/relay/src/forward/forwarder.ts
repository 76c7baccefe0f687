/**
 * Purpose: drains the spool towards the node above, in the order of arrival - so oldest first for every device - in bounded batches.
 * Invariants: one batch under way at a time (order); the spool is acknowledged only after the node above has answered for
 * every envelope of the batch, or after it was laid aside durably (set-aside.ts); nothing is ever dropped. A batch answered twice is answered `duplicate` and that is as good.
 * Failure: the node above is gone → waits as the uplink says, for days if need be, or until it is known to be back. It refuses a batch as a whole → smaller
 * batches, in case one envelope is at fault; if that one is refused again and again, it is laid aside; if there is no room, it stays at the head,
 * reported in status.
 */
import { wait, type Clock, type Log } from "@daicho/kernel";
import { openEnvelope, type Problem, type ReportHeader, type ReportResult } from "@daicho/protocol";
import type { Spool, SpoolRecord } from "@daicho/spool";
import type { Uplink } from "@daicho/uplink";
import type { Counter } from "../metrics.ts";
import type { Bandwidth } from "./bandwidth.ts";

export interface ForwarderOptions {
  readonly spool: Pick<Spool, "read" | "ack" | "stats">;
  readonly uplink: Pick<Uplink, "sendReports">;
  readonly bandwidth: Bandwidth;
  readonly clock: Clock;
  readonly log: Log;
  /** Counts forwarded envelopes by what the node above answered. */
  readonly forwarded: Counter;
  /** Every answer but `stored` and `duplicate`. */
  readonly onVerdict: (header: ReportHeader, result: ReportResult) => void;
  /** The dictionary version the node above says it holds. */
  readonly onDictionary: (version: number) => void;
  /** When the node above asks to be called next, seconds; undefined = it does not. */
  readonly onNextContact: (seconds: number | undefined) => void;
  /** Lays an envelope aside that the node above refuses although it is alone; false = there is no room. */
  readonly setAside: (record: SpoolRecord) => Promise<boolean>;
}

export interface Forwarder {
  /** Why nothing goes up at present, when something is wrong and not just waiting. */
  readonly refusal: Problem | undefined;
  wake(): void;
  /** Says that the node above is there: waiting for it ends, as far as it did not ask for that itself. */
  reached(): void;
  stop(): Promise<void>;
}

const maxRecords = 500;
const maxBytes = 4 * 1024 * 1024;
const troubleWaitMs = 30_000;
/** So often is an envelope offered alone before it is laid aside: longer than it takes to restart a node above. */
const offersAlone = 5;

/** Starts at once. */
export function createForwarder(options: ForwarderOptions): Forwarder {
  const { spool, uplink, bandwidth, clock, log } = options;
  const stopping = new AbortController();
  // About two seconds of the line, so that a slow line carries other requests in between.
  const usualBytes = Math.min(maxBytes, Math.max(64 * 1024, (bandwidth.rate ?? Infinity) * 2));
  let awake: (() => void) | undefined;
  let woken = false;
  let waiting: AbortController | undefined;
  let records = maxRecords;
  let refusal: Problem | undefined;
  let refusedAlone = 0;

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const batch = await spool.read(spool.stats().acked + 1, { maxRecords: records, maxBytes: usualBytes });
        if (batch.length === 0) await sleepUntilWoken();
        else await forward(batch);
      } catch (error) {
        // The spool cannot be read, or an answer could not be worked on: nothing is acknowledged, so nothing is lost.
        log.error("forward-failed", { reason: (error as { code?: string }).code ?? String(error).slice(0, 200) });
        await wait(clock, troubleWaitMs, stopping.signal);
      }
    }
  }

  async function forward(batch: readonly SpoolRecord[]): Promise<void> {
    const bytes = batch.reduce((sum, record) => sum + record.data.length, 0);
    await bandwidth.take(bytes, stopping.signal);
    if (stopping.signal.aborted) return;
    const sent = await uplink.sendReports(
      batch.map((record) => record.data),
      stopping.signal,
    );
    if (sent.kind === "retry") {
      refusal = undefined;
      log.debug("forward-waits", { code: sent.code, after: sent.after });
      if (stopping.signal.aborted) return;
      waiting = new AbortController();
      return wait(clock, Math.max(sent.after, 100), waiting.signal);
    }
    if (sent.kind === "refused") return refused(batch, sent.problem);
    refusal = undefined;
    refusedAlone = 0;
    records = Math.min(maxRecords, records * 2);
    const { results, dictionary, nextContactSeconds } = sent.value;
    for (const [index, result] of results.entries()) {
      options.forwarded.add(1, result.status);
      if (result.status !== "stored" && result.status !== "duplicate") judge(batch[index], result);
    }
    const last = batch.at(-1);
    if (last !== undefined) await spool.ack(last.position);
    if (dictionary !== undefined) options.onDictionary(dictionary);
    options.onNextContact(nextContactSeconds);
  }

  function judge(record: SpoolRecord | undefined, result: ReportResult): void {
    const opened = record === undefined ? undefined : openEnvelope(record.data);
    if (opened?.ok !== true) {
      log.warn("forwarded-report-rejected", { status: result.status, code: result.code ?? "" });
      return;
    }
    const { header } = opened.envelope;
    if (result.status === "rejected")
      log.warn("forwarded-report-rejected", { device: header.device, seq: header.seq, code: result.code ?? "" });
    options.onVerdict(header, result);
  }

  async function refused(batch: readonly SpoolRecord[], problem: Problem): Promise<void> {
    refusal = problem;
    log.error("forward-refused", { code: problem.code, status: problem.status, envelopes: batch.length });
    const aboutContent = problem.status === 400 || problem.status === 413 || problem.status === 422;
    const alone = aboutContent && batch.length === 1 ? batch[0] : undefined;
    refusedAlone = alone === undefined ? 0 : refusedAlone + 1;
    if (aboutContent && batch.length > 1) records = Math.max(1, Math.floor(batch.length / 2));
    else if (alone !== undefined && refusedAlone >= offersAlone && (await options.setAside(alone))) {
      await spool.ack(alone.position);
      refusedAlone = 0;
      refusal = undefined;
    } else await wait(clock, troubleWaitMs, stopping.signal);
  }

  async function sleepUntilWoken(): Promise<void> {
    if (!woken && !stopping.signal.aborted) await new Promise<void>((resolve) => (awake = resolve));
    awake = undefined;
    woken = false;
  }

  const running = run();
  return {
    get refusal() {
      return refusal;
    },
    wake() {
      woken = true;
      awake?.();
    },
    reached: () => waiting?.abort(),
    async stop() {
      stopping.abort();
      waiting?.abort();
      awake?.();
      await running;
    },
  };
}
