/**
 * Purpose: one phase: every device reports once, and its report is stored before the phase ends. Workers share the devices; each
 * sends a batch, reads one result per report, and sends again what needs it - a full report where the server asks for one.
 */
import {
  maxBatchBytes,
  packBatch,
  reportsContentType,
  validateReportsResponse,
  type ReportResult,
} from "@daicho/protocol";
import type { SimulatedPhase } from "../commands/simulate.ts";
import { parse, problemCode } from "./enrollment.ts";
import type { Fleet } from "./fleet.ts";
import { createLatencies } from "./latency.ts";
import type { Outgoing, Reports } from "./reports.ts";
import type { KnownTitles } from "./titles.ts";
import type { Wire, WireTrouble } from "./wire.ts";

export interface PhaseResult {
  readonly phase: SimulatedPhase;
  /** Reports sent, each time it was sent for another reason counted again: `need-full`, a refusal. */
  readonly sent: number;
  readonly stored: number;
  readonly duplicates: number;
  /** Requests without an answer and reports that were refused; all were sent again until they were stored, or are in `lost`. */
  readonly errors: number;
  /** Requests that were told to come back later. */
  readonly deferred: number;
  /** Reports answered with `need-full`. */
  readonly needFull: number;
  /** Devices whose report was not stored in the end. */
  readonly lost: number;
  /** Time of day, milliseconds: for whoever measures the server meanwhile. */
  readonly startedAt: number;
  readonly seconds: number;
  /** Reports stored per second. */
  readonly perSecond: number;
  /** Of a request, milliseconds. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly bytes: number;
  /** Seconds of processor time this process took; near `seconds`, it is the generator that is measured and not the server. */
  readonly clientCpu: number;
  /** Codes of refusals, with how often they came. */
  readonly codes: Readonly<Record<string, number>>;
}

const refusalsBorne = 5;

export async function runPhase(options: {
  readonly phase: SimulatedPhase;
  readonly devices: number;
  readonly batch: number;
  readonly concurrency: number;
  readonly fleet: Fleet;
  readonly reports: Reports;
  readonly known: KnownTitles;
  readonly wire: Wire;
  /** The header that a batch is sent with. */
  readonly authorization: (worker: number, first: number) => string;
  readonly stop: AbortSignal;
  readonly onProgress: (done: number) => void;
}): Promise<PhaseResult> {
  const { phase, fleet, reports, known, wire, stop } = options;
  const trouble: WireTrouble = { busy: 0, failed: 0 };
  const latencies = createLatencies();
  const codes: Record<string, number> = {};
  const count = { sent: 0, stored: 0, duplicates: 0, refused: 0, needFull: 0, lost: 0, bytes: 0 };
  let next = 0;
  let done = 0;

  async function compose(worker: number, devices: readonly number[]): Promise<Outgoing[]> {
    if (phase === "same") return devices.map((device) => reports.heartbeat(device));
    if (phase === "changed") return devices.map((device) => reports.delta(device));
    const all = devices.map((device) => ({
      device,
      ranks: fleet.titlesOf(device, reports.generationOf(device)),
    }));
    await known.ask(
      all.flatMap(({ ranks }) => known.unknownOf(ranks)),
      (body) =>
        wire.post({
          path: "/ingest/v1/titles",
          type: "application/octet-stream",
          body,
          authorization: () => options.authorization(worker, devices[0] ?? 0),
          trouble,
        }),
    );
    return all.map(({ device, ranks }) => reports.full(device, "unknown", ranks));
  }

  /** Sends one batch; answers what has to be sent instead. */
  async function send(worker: number, batch: readonly Outgoing[], refusals: Map<number, number>): Promise<Outgoing[]> {
    const body = packBatch(batch.map((report) => report.envelope));
    count.sent += batch.length;
    count.bytes += body.length;
    const answer = await wire.post({
      path: "/ingest/v1/reports",
      type: reportsContentType,
      body,
      authorization: () => options.authorization(worker, batch[0]?.device ?? 0),
      trouble,
    });
    if (answer === undefined) {
      count.lost += batch.length;
      return [];
    }
    latencies.note(answer.ms);
    const checked = answer.status === 200 ? validateReportsResponse(parse(answer.body)) : undefined;
    const results = checked?.ok === true && checked.value.results.length === batch.length ? checked.value.results : [];
    const refusal: ReportResult = { status: "rejected", code: problemCode(answer.body, answer.status) };
    const again: Outgoing[] = [];
    for (const [i, report] of batch.entries()) {
      const instead = take(report, results[i] ?? refusal, refusals);
      if (instead !== undefined) again.push(instead);
    }
    return again;
  }

  function take(
    report: Outgoing,
    { status, code = "none" }: ReportResult,
    refusals: Map<number, number>,
  ): Outgoing | undefined {
    const { device } = report;
    if (status === "stored" || status === "duplicate") {
      reports.settled(report);
      if (status === "stored") count.stored++;
      else count.duplicates++;
      options.onProgress(++done);
      return undefined;
    }
    codes[code] = (codes[code] ?? 0) + 1;
    if (status === "need-full") {
      count.needFull++;
      if (code === "titles-unknown") known.forget();
      return reports.full(device, code === "titles-unknown" ? "all" : "unknown");
    }
    count.refused++;
    const borne = (refusals.get(device) ?? 0) + 1;
    refusals.set(device, borne);
    if (borne > refusalsBorne || code === "identity-cloned") {
      count.lost++;
      options.onProgress(++done);
      return undefined;
    }
    if (code === "sequence-regress") reports.raiseEpoch(device);
    return reports.full(device, "all");
  }

  async function work(worker: number): Promise<void> {
    while (next < options.devices && !stop.aborted) {
      const devices = Array.from({ length: Math.min(options.batch, options.devices - next) }, (_, i) => next + i);
      next += devices.length;
      const refusals = new Map<number, number>();
      let waiting = await compose(worker, devices);
      while (waiting.length > 0) {
        const again: Outgoing[] = [];
        for (const part of partsOf(waiting)) again.push(...(await send(worker, part, refusals)));
        waiting = again;
      }
    }
  }

  const startedAt = Date.now();
  const since = performance.now();
  const cpuBefore = process.cpuUsage();
  await Promise.all(Array.from({ length: options.concurrency }, (_, worker) => work(worker)));
  const seconds = (performance.now() - since) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const settled = count.stored + count.duplicates;
  return {
    phase,
    sent: count.sent,
    stored: count.stored,
    duplicates: count.duplicates,
    errors: trouble.failed + count.refused,
    deferred: trouble.busy,
    needFull: count.needFull,
    lost: options.devices - settled,
    startedAt,
    seconds: round(seconds),
    perSecond: round(settled / seconds),
    ...latencies.percentiles(),
    bytes: count.bytes,
    clientCpu: round((cpu.user + cpu.system) / 1_000_000),
    codes,
  };
}

/** First reports of titles nobody knows are large: a batch of them may exceed what one request may hold. */
function* partsOf(batch: readonly Outgoing[]): Generator<readonly Outgoing[]> {
  let part: Outgoing[] = [];
  let bytes = 0;
  for (const report of batch) {
    const size = report.envelope.length + 4;
    if (part.length > 0 && bytes + size > maxBatchBytes) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(report);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
