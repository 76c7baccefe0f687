/**
 * Purpose: `POST /ingest/v1/reports` at a relay. Each envelope is checked as far as a relay can, answered a verdict that waits for
 * its device, or appended to the spool; `stored` is answered only when the spool has synced it.
 * Invariants: one bad envelope never spoils its batch; an agent reports for itself only, with its own signature; what
 * cannot be stored is not answered at all but with 503 and Retry-After - for the whole batch, so the sender keeps everything.
 */
import type { KeyObject } from "node:crypto";
import {
  importPublicKey,
  maxBatchBytes,
  openEnvelope,
  unpackBatch,
  verifyEnvelope,
  type Certificate,
  type ReportAnswerCode,
  type ReportHeader,
  type ReportResult,
  type ReportsResponse,
} from "@daicho/protocol";
import { isDaichoError, sparing, type Clock, type Log } from "@daicho/kernel";
import { spoolErrors, type Spool } from "@daicho/spool";
import { relayErrors } from "../errors.ts";
import type { Http } from "../http/app.ts";
import type { Counter } from "../metrics.ts";
import type { NextContact } from "./next-contact.ts";
import type { Verdicts } from "./verdicts.ts";

export interface IntakeOptions {
  readonly http: Http;
  readonly spool: Pick<Spool, "append">;
  readonly verdicts: Verdicts;
  readonly dictionaryVersion: () => number;
  readonly nextContact: Pick<NextContact, "seconds">;
  readonly now: () => number;
  readonly random: () => number;
  readonly clock: Clock;
  readonly log: Log;
  /** Counts answers by status. */
  readonly answered: Counter;
  /** Something new is in the spool. */
  readonly onStored: () => void;
}

/** Verifying a thousand signatures takes 0.1 s; other requests get their turn in between. */
const sliceEnvelopes = 50;

export function registerReports(options: IntakeOptions): void {
  const { http, spool, verdicts, answered } = options;
  const examine = createExaminer();
  const { warn } = sparing(options.log, options.clock);

  http.app.post(
    "/ingest/v1/reports",
    { onRequest: http.node("agent", "relay"), bodyLimit: maxBatchBytes },
    async (request): Promise<ReportsResponse> => {
      const sender = request.node as Certificate;
      const batch = unpackBatch(await http.body(request, maxBatchBytes));
      if (batch === undefined) throw relayErrors.make("batch-malformed");
      const results = await take(batch, sender);
      for (const { status } of results) answered.add(1, status);
      const nextContactSeconds = options.nextContact.seconds;
      return {
        results,
        dictionary: options.dictionaryVersion(),
        time: new Date(options.now()).toISOString(),
        ...(nextContactSeconds !== undefined && { nextContactSeconds }),
      };
    },
  );

  async function take(batch: readonly Buffer[], sender: Certificate): Promise<ReportResult[]> {
    const results: ReportResult[] = [];
    const accepted: Buffer[] = [];
    const refused = new Set<string>();
    for (const [index, bytes] of batch.entries()) {
      if (index > 0 && index % sliceEnvelopes === 0) await new Promise((resolve) => setImmediate(resolve));
      const examined = examine(bytes, sender);
      if ("code" in examined) {
        refused.add(examined.code);
        results.push({ status: "rejected", code: examined.code });
        continue;
      }
      const verdict = verdicts.answer(examined.header);
      results.push(verdict ?? { status: "stored" });
      if (verdict !== undefined) continue;
      accepted.push(bytes);
      // Now, not when it is synced: a full report settles the deltas behind it in this batch too.
      verdicts.taken(examined.header, sender.kind === "agent");
    }
    // One line for a batch: a hostile sender must not fill the log.
    if (refused.size > 0) warn("reports-rejected", { node: sender.id, codes: [...refused] });
    if (accepted.length > 0) await store(accepted);
    return results;
  }

  async function store(envelopes: readonly Buffer[]): Promise<void> {
    try {
      await spool.append(envelopes);
    } catch (error) {
      if (!isDaichoError(error) || !error.retryable) throw error;
      // The spool's own codes, with a time to come back: long enough for the node above to have taken something.
      const again = { cause: error, retryAfter: 15 + Math.floor(options.random() * 45) };
      throw spoolErrors.make(error.code as "spool-full", { ...error.details, dir: "this relay" }, again);
    }
    options.onStored();
  }
}

type Examined = { readonly header: ReportHeader } | { readonly code: ReportAnswerCode };

function createExaminer(): (bytes: Buffer, sender: Certificate) => Examined {
  // The verifier of credentials answers the same certificate object for the same header: its key is imported once.
  const keys = new WeakMap<Certificate, KeyObject>();
  const keyOf = (sender: Certificate): KeyObject | undefined => {
    const key = keys.get(sender) ?? importPublicKey(sender.publicKey);
    if (key !== undefined) keys.set(sender, key);
    return key;
  };
  return (bytes, sender) => {
    const opened = openEnvelope(bytes);
    if (!opened.ok) return { code: opened.refusal };
    const { header } = opened.envelope;
    if (sender.kind !== "agent") return { header };
    if (header.device !== sender.id) return { code: "device-not-sender" };
    const key = keyOf(sender);
    if (key === undefined || !verifyEnvelope(opened.envelope, key)) return { code: "signature-invalid" };
    return { header };
  };
}
