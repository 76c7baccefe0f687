/**
 * Purpose: `daicho simulate`: the load generator that servers are sized with. It is honest where it matters - every device has its own
 * key and enrols, every report is signed, whole and different, nothing counts before the server says `stored` - and cheap
 * where it does not: devices are derived from the seed instead of kept, and share connections as they do behind a relay.
 * A server takes a batch with the reports of many devices from any of them; a relay takes from an agent only its own, so there
 * every device sends for itself.
 */
import { maxTitles, packBatch, reportsContentType, validateReportsResponse } from "@daicho/protocol";
import { serverUrl } from "../client/client.ts";
import type { Outcome } from "../command.ts";
import type { SimulateOptions } from "../commands/simulate.ts";
import { readText } from "../files/read.ts";
import { secretOption } from "../files/secret.ts";
import { say, type Io } from "../io.ts";
import { createProgress } from "../output/progress.ts";
import { enrollFleet, parse, type Enrolled } from "./enrollment.ts";
import { createFleet } from "./fleet.ts";
import { createIdentities } from "./identities.ts";
import { round, runPhase, type PhaseResult } from "./phase.ts";
import { createReports, type Reports } from "./reports.ts";
import { createKnownTitles } from "./titles.ts";
import { createWire, type Wire } from "./wire.ts";

export async function simulate(options: SimulateOptions, io: Io): Promise<Outcome> {
  const upstream = serverUrl(options.upstream);
  const token = await secretOption(options.enrollmentToken);
  const stop = io.stopSignal();
  const progress = createProgress(io.err);
  const { devices, concurrency } = options;
  const ca = options.ca === undefined ? undefined : await readText(options.ca);

  const now = Date.now;
  const fleet = createFleet(options);
  const identities = createIdentities(options.seed);
  const known = createKnownTitles(fleet, Math.floor(maxTitles / 2));
  const reports = createReports({ fleet, identities, known, devices, epoch: now(), now });
  const wire = createWire({ upstream, connections: concurrency, stop, ...(ca !== undefined && { ca }) });
  try {
    const enroll = (from: number, to: number, keep: number): Promise<Enrolled> =>
      enrollFleet({
        fleet,
        identities,
        wire,
        upstream,
        token,
        devices: [from, to],
        keep,
        concurrency,
        now,
        stop,
        onProgress: (done) => progress.show(`enrolled ${from + done} of ${devices}`),
      });
    // The first devices' credentials carry the batches; where a relay wants each device's own, all are kept.
    const few = Math.min(devices, Math.max(concurrency, 2));
    const firsts = await enroll(0, few, few);
    const alone = options.batch === 1 || (devices > 1 && !stop.aborted && (await refusesOthers(wire, reports, firsts)));
    if (alone && options.batch > 1) await say(io.err, "The node above is a relay: every device sends for itself.");
    const others = await enroll(few, devices, alone ? devices : few);
    const credentials = (device: number): string => (device < few ? firsts : others).authorization(device);

    const phases: PhaseResult[] = [];
    for (const phase of options.phases) {
      if (stop.aborted) break;
      const result = await runPhase({
        phase,
        devices,
        concurrency,
        fleet,
        reports,
        known,
        wire,
        stop,
        batch: alone ? 1 : options.batch,
        authorization: (worker, first) => credentials(alone ? first : worker % few),
        onProgress: (done) => progress.show(`${phase}: ${done} of ${devices}`),
      });
      progress.clear();
      phases.push(result);
      if (options.json !== true) await printPhase(result, phases.length === 1, io);
    }
    progress.clear();
    const seconds = firsts.seconds + others.seconds;
    const enrollment = { devices, seconds: round(seconds), perSecond: round(devices / seconds) };
    const { titles, seed } = options;
    const summary = {
      devices,
      titles,
      distinctTitles: fleet.distinct,
      batch: alone ? 1 : options.batch,
      concurrency,
      seed,
    };
    if (options.json === true) await say(io.out, JSON.stringify({ ...summary, enrollment, phases }, undefined, 2));
    else
      await say(io.err, `${devices} devices enrolled in ${enrollment.seconds} s (${enrollment.perSecond} per second)`);
    return !stop.aborted && phases.every(({ lost }) => lost === 0) ? 0 : 1;
  } finally {
    progress.clear();
    await wire.close();
  }
}

/** Does the node above refuse what one agent brings for another? A heartbeat finds out and changes nothing. */
async function refusesOthers(wire: Wire, reports: Reports, enrolled: Enrolled): Promise<boolean> {
  const answer = await wire.post({
    path: "/ingest/v1/reports",
    type: reportsContentType,
    body: packBatch([reports.heartbeat(1).envelope]),
    authorization: () => enrolled.authorization(0),
  });
  const checked = validateReportsResponse(answer && parse(answer.body));
  return checked.ok && checked.value.results[0]?.code === "device-not-sender";
}

/** Printed as each phase ends, so the widths are fixed. */
const columns: readonly (readonly [title: string, value: (result: PhaseResult) => string | number])[] = [
  ["sent", (r) => r.sent],
  ["stored", (r) => r.stored],
  ["duplicates", (r) => r.duplicates],
  ["errors", (r) => r.errors],
  ["per second", (r) => r.perSecond],
  ["p50 ms", (r) => r.p50],
  ["p95 ms", (r) => r.p95],
  ["p99 ms", (r) => r.p99],
];

async function printPhase(result: PhaseResult, first: boolean, io: Io): Promise<void> {
  const line = (name: string, cells: readonly (string | number)[]): string =>
    name.padEnd(8) + cells.map((cell) => String(cell).padStart(11)).join("");
  if (first)
    await say(
      io.out,
      line(
        "phase",
        columns.map(([title]) => title),
      ),
    );
  await say(
    io.out,
    line(
      result.phase,
      columns.map(([, value]) => value(result)),
    ),
  );
  for (const [code, times] of Object.entries(result.codes))
    await say(io.err, `${result.phase}: ${times} reports answered ${code}`);
}
