/**
 * Purpose: the way of a report from the socket into the store. Several reports share one commit (group commit): senders' batches wait in
 * one queue, in arrival order, and each commit takes as many as fit.
 * Invariants: `stored` is answered only after the commit that holds state, change log, licence repository and counters together; reports of one
 * device are applied in arrival order; an older report never overwrites a newer one; when more waits than can be stored soon, senders
 * are told to come back (503 + Retry-After) before anything of theirs is taken in.
 * What one device may add to the titles of the company in a day is bounded: they are never removed.
 * Failure: a commit that fails is tried again report by report, so one bad report cannot hold up the others; a store that is away answers
 * `overloaded` and nothing is lost, because nothing was acknowledged.
 */
import {
  digestSections,
  importPublicKey,
  unpackMachine,
  unpackProbes,
  type Machine,
  type ReportResult,
} from "@daicho/protocol";
import { createShares, sparing, type Clock, type Log } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { serverErrors } from "../../errors.ts";
import type { DeviceDirectory, UsageRepository } from "../../ports.ts";
import { createTurns } from "../../slices.ts";
import { writeDeviceChanges, type StateChange } from "../inventory/commit.ts";
import { reshapedFrom } from "../licenses/coverage/index.ts";
import type { Deriver } from "../inventory/deriver.ts";
import { headStore, type HeadRow, type IdentityRow, type StateRow } from "../inventory/head-store.ts";
import { applyDifference, difference } from "../inventory/pack.ts";
import type { TitleIndex } from "../inventory/title-index.ts";
import type { Titles } from "../inventory/titles.ts";
import type { Clones } from "./clones.ts";
import type { Judged, Missing } from "./missing.ts";
import { orderOf, showsFork } from "./order.ts";
import { openReport, readReport, rejected, type ReceivedReport, type Sender } from "./report.ts";

export interface Intake {
  /** One result per envelope, in order. `from`: the node that sent them, for the log. @throws overloaded */
  submit(envelopes: readonly Buffer[], from?: string): Promise<readonly ReportResult[]>;
  readonly waiting: number;
  /** Forgets cached identities (after enrolment or merging). */
  forget(identity: string): void;
  /** Waits until everything taken in is answered. */
  drain(): Promise<void>;
}

export interface IntakeDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly titles: Titles;
  readonly index: Pick<TitleIndex, "grown">;
  readonly devices: DeviceDirectory;
  readonly repository: UsageRepository;
  readonly deriver: () => Deriver;
  /** Identities an administrator removed. */
  readonly removed: { has(identity: string): boolean };
  readonly missing: Pick<Missing, "note" | "altered">;
  readonly clones: Clones;
  readonly limits: { readonly queue: number; readonly group: number; readonly newTitles: number };
  /** What was committed was derived under a policy that has been replaced meanwhile: whoever derived again may have missed it. */
  readonly onOutdated?: () => void;
  readonly onCommit?: (event: {
    readonly results: readonly ReportResult[];
    readonly milliseconds: number;
    readonly countsChanged: boolean;
  }) => void;
}

interface Job {
  readonly report: ReceivedReport;
  /** The node that brought it. */
  readonly from: string | undefined;
  readonly resolve: (result: ReportResult) => void;
  readonly reject: (error: unknown) => void;
}

export function createIntake(deps: IntakeDeps): Intake {
  const { db, clock, log, limits } = deps;
  const { warn } = sparing(log, clock);
  const senders = new Map<string, Sender>();
  const queue: Job[] = [];
  let running: Promise<void> | undefined;
  let today = 0;
  /** Texts that each identity has brought today, while not all of the report's titles were known. */
  let taught = createShares(limits.newTitles);
  /** Envelopes being checked, not yet in the queue. */
  let arriving = 0;

  const load = async (ids: readonly string[]): Promise<void> => {
    const unknown = [...new Set(ids)].filter((id) => !senders.has(id));
    for (const row of await headStore.identities(db.kysely, unknown)) {
      const key = importPublicKey(row.public_key);
      if (key === undefined) continue;
      if (senders.size >= 200_000) senders.delete(senders.keys().next().value as string);
      senders.set(row.id, { id: row.id, device: row.device, key });
    }
  };

  const senderOf = (id: string): Sender | undefined => (deps.removed.has(id) ? undefined : senders.get(id));

  const run = async (): Promise<void> => {
    while (queue.length > 0) {
      const group = queue.splice(0, limits.group);
      try {
        const results = await commit(group);
        group.forEach((job, i) => job.resolve(results[i] as ReportResult));
      } catch (error) {
        if (group.length === 1) group[0]?.reject(error);
        else await oneByOne(group);
      }
    }
    running = undefined;
  };

  const oneByOne = async (group: readonly Job[]): Promise<void> => {
    for (const job of group)
      try {
        job.resolve((await commit([job]))[0] as ReportResult);
      } catch (error) {
        job.reject(error);
      }
  };

  const commit = async (jobs: readonly Pick<Job, "report" | "from">[]): Promise<ReportResult[]> => {
    const started = clock.now();
    const reports = jobs.map((job) => job.report);
    const tooMany = await learn(reports);
    await deps.titles.find(
      reports.flatMap((r) => (r.ids === undefined ? [r.titles ?? r.added, r.removed] : [r.removed])),
    );
    const { results, countsChanged, titlesChanged, generation } = await db.transaction((trx) =>
      store(trx, jobs, reports, tooMany),
    );
    if (titlesChanged) deps.index.grown();
    if (generation !== deps.deriver().generation) deps.onOutdated?.();
    deps.onCommit?.({ results, milliseconds: clock.now() - started, countsChanged });
    return results;
  };

  /** @returns the reports whose titles were not learnt, because their device has brought too many today */
  const learn = async (reports: readonly ReceivedReport[]): Promise<ReadonlySet<ReceivedReport>> => {
    const day = Math.floor(clock.now() / 86_400_000);
    if (day !== today) taught = createShares(limits.newTitles);
    today = day;
    const tooMany = new Set<ReceivedReport>();
    const giveBack: (() => void)[] = [];
    for (const report of reports) {
      if (report.texts.length === 0) continue;
      const taken = taught.take(report.sender.id, report.texts.length);
      if (taken === undefined) tooMany.add(report);
      else giveBack.push(taken);
    }
    try {
      await deps.titles.learn(reports.flatMap((r) => (tooMany.has(r) ? [] : r.texts)));
    } catch (error) {
      // Nobody has too many because the store is away.
      for (const give of giveBack) give();
      throw error;
    }
    return tooMany;
  };

  const store = async (
    trx: Trx,
    jobs: readonly Pick<Job, "report" | "from">[],
    reports: readonly ReceivedReport[],
    tooMany: ReadonlySet<ReceivedReport>,
  ) => {
    const now = clock.now();
    const deriver = deps.deriver();
    const ids = [...new Set(reports.map((r) => r.sender.device))].sort((a, b) => a - b);
    const heads = await headStore.heads(trx, ids, db.dialect === "postgres");
    const identities = new Map(
      (await headStore.identities(trx, [...new Set(reports.map((r) => r.sender.id))])).map((row) => [row.id, row]),
    );
    const needState = [...new Set(reports.filter((r) => r.header.kind !== "heartbeat").map((r) => r.sender.device))];
    const states = await headStore.states(trx, needState);
    await deps.titles.know(trx, [...states.values()].map((state) => state.titles)); // prettier-ignore

    const results: ReportResult[] = [];
    const judged: Judged[] = [];
    const clones: { identity: string; evidence: string }[] = [];
    const first: { id: string; device: number; evidence: string }[] = [];
    const changed = new Map<number, { head: HeadRow; states: StateChange[] }>();
    const turn = createTurns();

    for (const { report, from } of jobs) {
      const { header, sender } = report;
      const identity = identities.get(sender.id);
      if (identity === undefined) {
        results.push(rejected("device-unknown", "the identity was removed"));
        continue;
      }
      if (identity.device !== sender.device) {
        // Merged with another device a moment ago, perhaps by another server.
        senders.delete(sender.id);
        results.push({ status: "need-full", code: "device-moved" });
        continue;
      }
      const earlier = changed.get(sender.device);
      const head = earlier?.head ?? heads.get(sender.device);
      const refusal = await admit(trx, report, head, identity, now);
      const refuse = (result: ReportResult): void => {
        results.push(result);
        judged.push({ header, result, from, held: head?.identity === sender.id ? head : undefined });
      };
      const evidence = header.evidence ?? null;
      if (refusal?.code === "identity-cloned" && evidence !== null) clones.push({ identity: sender.id, evidence });
      if (refusal !== undefined || tooMany.has(report)) {
        refuse(refusal ?? rejected("titles-too-many"));
        continue;
      }
      let change: StateChange | undefined;
      if (header.kind !== "heartbeat") {
        const before = earlier?.states.at(-1)?.state ?? states.get(sender.device);
        const applied = applyReport(report, before, deps.titles);
        if (!applied.ok) {
          refuse(applied.result);
          continue;
        }
        change = applied.change;
        // Long groups give way now and then, so that no one waits for the loop.
        await turn();
      }
      if (identity.first_evidence === null && evidence !== null) {
        first.push({ id: sender.id, device: sender.device, evidence });
        identity.first_evidence = evidence;
      }
      changed.set(sender.device, {
        head: {
          device: sender.device,
          identity: sender.id,
          epoch: header.epoch,
          seq: header.seq,
          digest: Buffer.from(header.state, "hex"),
          evidence,
          dictionary: header.dictionary,
          made_at: report.madeAt,
          received_at: now,
          scanned_at: report.scannedAt,
          generation: change === undefined ? (head?.generation ?? 0) : deriver.generation,
        },
        states: [...(earlier?.states ?? []), ...(change === undefined ? [] : [change])],
      });
      results.push({ status: "stored" });
    }
    await headStore.setFirstEvidence(db, trx, first);
    await deps.missing.note(trx, judged);
    await deps.clones.note(trx, clones);
    await deps.clones.link(trx, first);
    const committed = await writeDeviceChanges(trx, { ...deps, deriver }, [...changed.values()], now);
    return { results, ...committed, generation: deriver.generation };
  };

  /** Why a report is not applied: its order (order.ts) or its base; undefined where it may be. */
  const admit = async (
    trx: Trx,
    { header, madeAt, sender }: ReceivedReport,
    head: HeadRow | undefined,
    identity: IdentityRow,
    now: number,
  ): Promise<ReportResult | undefined> => {
    const given = {
      epoch: header.epoch,
      seq: header.seq,
      state: header.state,
      madeAt,
      evidence: header.evidence ?? null,
    };
    const digest = head?.digest.toString("hex");
    // An imported inventory has no order in common with the device's own reports; the digest alone tells whether it fits.
    const held =
      head === undefined || head.identity !== sender.id
        ? undefined
        : { epoch: head.epoch, seq: head.seq, digest: digest ?? "", madeAt: head.made_at, evidence: head.evidence };
    const order = orderOf(given, held, { firstEvidence: identity.first_evidence, forked: identity.forked_at !== null });
    if (order === "again" || order === "older") return { status: "duplicate" };
    if (order === "clone" || order === "behind") {
      if (identity.forked_at === null && (order === "clone" || (held !== undefined && showsFork(given, held)))) {
        await headStore.setForked(trx, sender.id, now);
        identity.forked_at = now;
        log.warn("identity-forked", { identity: sender.id, device: sender.device });
      }
      return order === "clone" ? rejected("identity-cloned") : rejected("sequence-regress");
    }
    if (header.kind === "heartbeat" && digest !== header.state) return { status: "need-full", code: "digest-differs" };
    if (header.kind === "delta" && digest !== header.base) return { status: "need-full", code: "base-differs" };
    return undefined;
  };

  return {
    get waiting() {
      return queue.length;
    },
    forget: (identity) => void senders.delete(identity),
    async submit(envelopes, from) {
      if (queue.length + arriving + envelopes.length > limits.queue + limits.group)
        throw serverErrors.make("overloaded", {}, { retryAfter: 1 + Math.random() * 4 });
      arriving += envelopes.length;
      const opened = envelopes.map(openReport);
      let reads;
      try {
        await load(opened.flatMap((o) => (o.ok ? [o.envelope.header.device] : [])));
        // Signatures are checked on other threads; the batch goes on in its own order.
        reads = await Promise.all(
          opened.map(async (o) => (o.ok ? readReport(o.envelope, senderOf(o.envelope.header.device), deps.titles) : o)),
        );
      } finally {
        arriving -= envelopes.length;
      }
      // One line for all that a batch has of a kind: a hostile sender is named, and must not fill the log.
      const refused = new Map<string, { readonly identity: string | undefined; reports: number }>();
      const answers = reads.map((read, i) => {
        if (!read.ok) {
          const one = opened[i];
          const code = read.result.code ?? "none";
          const line = refused.get(code) ?? {
            identity: one?.ok === true ? one.envelope.header.device : undefined,
            reports: 0,
          };
          line.reports++;
          refused.set(code, line);
          return Promise.resolve(read.result);
        }
        return new Promise<ReportResult>((resolve, reject) =>
          queue.push({ report: read.report, from, resolve, reject }),
        );
      });
      for (const [code, line] of refused) warn("report-rejected", { node: from, code, ...line });
      const altered = reads.flatMap((read, i) => {
        const one = opened[i];
        return !read.ok && read.result.code === "signature-invalid" && one?.ok === true ? [one.envelope.header] : [];
      });
      const brought = altered.filter(({ device }) => device !== from);
      const named = from === undefined || brought.length === 0 ? undefined : deps.missing.altered(brought, from);
      // What else has arrived by now shares the first commit.
      running ??= new Promise((resolve) => setImmediate(resolve)).then(run);
      const [results] = await Promise.all([Promise.all(answers), named]);
      return results;
    },
    async drain() {
      while (running !== undefined) await running;
    },
  };
}

type Applied =
  { readonly ok: true; readonly change: StateChange } | { readonly ok: false; readonly result: ReportResult };

/** The state after a full report or a delta; checked against the digest the device signed. */
function applyReport(report: ReceivedReport, before: StateRow | undefined, titles: Titles): Applied {
  const needFull = (code: string): Applied => ({ ok: false, result: { status: "need-full", code } });
  const held = before === undefined ? new Uint32Array(0) : before.titles;
  let ids: Uint32Array | undefined;
  let change: { readonly added: ArrayLike<number>; readonly removed: ArrayLike<number> };
  if (report.titles !== undefined) {
    ids = report.ids ?? titles.idsOf(report.titles);
    if (ids === undefined) return needFull("titles-unknown");
    change = difference(held, ids);
  } else {
    const added = report.ids ?? titles.idsOf(report.added);
    const removed = titles.idsOf(report.removed);
    if (added === undefined || removed === undefined) return needFull("titles-unknown");
    ids = applyDifference(held, added, removed);
    if (ids === undefined || before === undefined) return needFull("base-differs");
    change = { added, removed };
  }
  const sum = titles.table.sumOf(ids);
  const details = report.details ?? before?.details;
  const probes = report.probes ?? before?.probes;
  const machine = report.machine ?? before?.machine;
  if (details === undefined || probes === undefined || machine === undefined) return needFull("base-differs");
  if (digestSections(sum, { details, probes, machine }) !== report.header.state)
    return report.header.kind === "full"
      ? { ok: false, result: rejected("report-malformed", "the state it describes is not the state it signs") }
      : needFull("digest-differs");
  let named: Machine | undefined;
  try {
    if (before?.probes.equals(probes) !== true) unpackProbes(probes);
    if (before?.machine.equals(machine) !== true) named = unpackMachine(machine);
  } catch (error) {
    // zlib, JSON and schema faults of a hostile or broken sender; the bytes themselves stay out of the message.
    const message = error instanceof RangeError ? error.message : "a section cannot be unpacked";
    return { ok: false, result: rejected("report-malformed", message) };
  }
  const serial = named?.hardware?.serial;
  return {
    ok: true,
    change: {
      ...change,
      first: before === undefined,
      reshapedFrom: before !== undefined && named !== undefined ? reshapedFrom(before.machine, machine) : undefined,
      ...(named !== undefined && { named: { hostname: named.hostname, ...(serial !== undefined && { serial }) } }),
      state: {
        device: report.sender.device,
        titles: ids,
        details,
        probes,
        machine,
        scan: report.scan ?? before?.scan ?? null,
        base: before?.base ?? null,
        // What an import once asserted gives way to what the machine itself reports.
        asserted: null,
      },
    },
  };
}
