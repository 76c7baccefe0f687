/**
 * Purpose: empties the outbox upward: in order, in batches, for ever. Obeys Retry-After and back-off (the uplink says how
 * long), never gives up, and drops only what was answered.
 * What is not stored is not lost: the reporter is told and a full report follows. A record that is no envelope (disk damage)
 * or that the node above will never take (too large, refused alone) is dropped, and a full report is due.
 */
import { wait, type Clock, type Log } from "@daicho/kernel";
import { maxBatchEnvelopes, type ReportsResponse } from "@daicho/protocol";
import type { Uplink } from "@daicho/uplink";
import type { Outbox, Outgoing } from "./outbox.ts";
import type { Answered, Reporter, Verdict } from "./reporter.ts";

export interface SenderOptions {
  readonly outbox: Outbox;
  readonly reporter: () => Reporter;
  /** undefined while not enrolled. */
  readonly uplink: () => Pick<Uplink, "sendReports" | "lastError"> | undefined;
  /** The node above has answered: what it said, and what the reporter makes of it. */
  readonly onAnswer: (response: ReportsResponse, verdict: Verdict, answers: readonly Answered[]) => Promise<void>;
  readonly onTrouble: (code: string) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

/**
 * `idle`: nothing to send. `sent`: something was answered. `wait`: come again after so many milliseconds; `patient` = or
 * when there is something new to say.
 */
export type DrainStep =
  | { readonly kind: "idle" }
  | { readonly kind: "sent"; readonly verdict: Verdict }
  | { readonly kind: "wait"; readonly code: string; readonly afterMs: number; readonly patient?: boolean };

export interface Sender {
  /** Sends one batch. Rejects only for what the disk does. */
  step(signal?: AbortSignal): Promise<DrainStep>;
  /** Sends until the signal aborts; sleeps while there is nothing to do. */
  run(signal: AbortSignal): Promise<void>;
  /** Says that something was spooled, or that the uplink is there. */
  wake(): void;
  /** Says that the node above is there: waiting for it ends, as far as it did not ask for that itself. */
  reached(): void;
}

const batchRecords = Math.min(200, maxBatchEnvelopes);
const batchBytes = 4 * 1024 * 1024;
/** What only an administrator can change is tried again this slowly. */
const slowMs = 15 * 60_000;
const idleMs = 5 * 60_000;

export function createSender(options: SenderOptions): Sender {
  const { outbox, clock, log } = options;
  const random = options.random ?? Math.random;
  let woken = new AbortController();
  let waiting = new AbortController();
  /** Halved when the node above finds a batch too large. */
  let limit = batchRecords;

  const slow = (code: string): DrainStep => ({
    kind: "wait",
    code,
    patient: true,
    afterMs: slowMs * (0.75 + random() / 2),
  });

  async function drop(records: readonly Outgoing[], code: string): Promise<DrainStep> {
    const last = records.at(-1);
    log.warn("report-dropped", { code, count: records.length });
    await options.reporter().demandFull("ask");
    if (last !== undefined) await outbox.done(last.position);
    return { kind: "sent", verdict: { identity: "fine", fullAfterMs: slowMs } };
  }

  async function step(signal?: AbortSignal): Promise<DrainStep> {
    const uplink = options.uplink();
    if (uplink === undefined) return { kind: "idle" };
    const read = await outbox.read(limit, batchBytes);
    const first = read[0];
    if (first === undefined) return { kind: "idle" };
    if (first.header === undefined) return drop([first], "envelope-damaged");
    // Up to the next damaged record; that one is dropped when its turn comes.
    const damaged = read.findIndex((record) => record.header === undefined);
    const batch = damaged < 0 ? read : read.slice(0, damaged);
    const result = await uplink.sendReports(
      batch.map((record) => record.bytes),
      signal,
    );
    outbox.sent(batch);
    if (result.kind === "retry") {
      options.onTrouble(result.code);
      return { kind: "wait", code: result.code, afterMs: result.after };
    }
    if (result.kind === "refused") {
      const { code, status } = result.problem;
      options.onTrouble(code);
      if (status !== 400 && status !== 413) return slow(code);
      if (batch.length === 1) return drop(batch, code);
      limit = Math.max(1, Math.floor(batch.length / 2));
      return { kind: "wait", code, afterMs: 0 };
    }
    limit = batchRecords;
    return take(batch, result.value);
  }

  async function take(batch: readonly Outgoing[], response: ReportsResponse): Promise<DrainStep> {
    const answers: Answered[] = [];
    for (const [index, outgoing] of batch.entries()) {
      const result = response.results[index];
      if (result !== undefined) answers.push({ outgoing, result });
    }
    const verdict = await options.reporter().answered(answers);
    const last = batch.at(-1);
    // The journal knows by now what is due; only then may the records go.
    if (verdict.identity === "fine" && last !== undefined) await outbox.done(last.position);
    await options.onAnswer(response, verdict, answers);
    if (verdict.identity !== "fine") {
      const code = verdict.identity === "cloned" ? "identity-cloned" : "device-unknown";
      options.onTrouble(code);
      return slow(code);
    }
    return { kind: "sent", verdict };
  }

  return {
    step,
    wake: () => woken.abort(),
    reached: () => waiting.abort(),
    async run(signal) {
      const end = (): void => (woken.abort(), waiting.abort());
      signal.addEventListener("abort", end, { once: true });
      while (!signal.aborted) {
        woken = new AbortController();
        waiting = new AbortController();
        let next: DrainStep;
        try {
          next = await step(signal);
        } catch (error) {
          const code = (error as { code?: string }).code ?? "unknown";
          log.error("report-send-failed", { code });
          options.onTrouble(code);
          next = { kind: "wait", code, afterMs: 60_000 };
        }
        if (next.kind === "sent") continue;
        // Waiting for work ends when there is work; waiting because we were told to does not.
        if (next.kind === "wait" && next.patient !== true) await wait(clock, next.afterMs, waiting.signal);
        else await wait(clock, next.kind === "wait" ? next.afterMs : idleMs, woken.signal);
      }
    },
  };
}
