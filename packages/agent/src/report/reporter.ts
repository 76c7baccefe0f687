/**
 * Purpose: says what is to be reported: full → delta → heartbeat (design.md "Delivery"), and takes in the answers.
 *
 * What is never wrong, whatever instruction the process dies at:
 *  - A number is in the journal, durably, before an envelope carries it: no (epoch, seq) is ever used for two contents.
 *  - The journal says `certain: false` from before an envelope is spooled until it is. Found so at the next start, nobody knows
 *    whether the report exists, so the next one is a full: it needs no base.
 *  - A delta starts from the state of the last report spooled, not of the last one stored: reports arrive in order. Should one be
 *    lost on its way, the base does not fit, the answer is `need-full`, and a full repairs. Every heartbeat carries the
 *    digest, so a loss that nobody noticed is noticed then.
 *  - What is dropped from the outbox is older than a full report that is in it, or `fullDue` is in the journal.
 * A journal that is lost or damaged starts a new epoch, higher than any in the outbox.
 */
import type { Clock, Log } from "@daicho/kernel";
import {
  maxEnvelopeBytes,
  maxSectionBytes,
  sealEnvelope,
  type PackedState,
  type ReportHeader,
  type ReportKind,
  type ReportResult,
  type Sections,
  type Signer,
} from "@daicho/protocol";
import { agentErrors } from "../errors.ts";
import { evidenceHash } from "../identity/evidence.ts";
import { baseOf, deltaSections, fullSections, pack } from "./compose.ts";
import type { Facts } from "./facts.ts";
import type { FullDue, Journal, JournalStore } from "./journal.ts";
import type { Outbox, Outgoing } from "./outbox.ts";

export interface ReporterOptions {
  readonly signer: Signer;
  readonly journal: JournalStore;
  readonly outbox: Outbox;
  /** Of these titles, those the server has no text of; undefined = could not be asked now. */
  readonly askUnknown: (hashes: Buffer) => Promise<Buffer | undefined>;
  /** Dictionary version held; 0 = none. */
  readonly dictionaryVersion: () => number;
  /** The right time as far as known; epochs are made from it. */
  readonly now: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Answered {
  readonly outgoing: Outgoing;
  readonly result: ReportResult;
}

export interface Verdict {
  /** `cloned`: this key belongs to another machine. `unknown`: the server does not know this device. */
  readonly identity: "fine" | "cloned" | "unknown";
  /** A full report is due, after this many milliseconds; undefined = none is. */
  readonly fullAfterMs: number | undefined;
}

export interface Reporter {
  readonly epoch: number;
  readonly seq: number;
  readonly fullDue: boolean;
  /** Spools what these facts ask for; a heartbeat where nothing changed. @throws what the outbox or the disk throws */
  report(facts: Facts): Promise<ReportKind>;
  /** Spools a heartbeat, unless something that says more waits in the outbox already. */
  heartbeat(facts: Facts): Promise<ReportKind | undefined>;
  /** Spools a full report in place of everything that waits. */
  repair(facts: Facts): Promise<void>;
  /** From now on a full report is due. */
  demandFull(texts: FullDue): Promise<void>;
  /** Answers to reports, in the order of the reports. */
  answered(answers: readonly Answered[]): Promise<Verdict>;
}

/** Fulls that are refused again and again come slower and slower. */
const refusedBaseMs = 60_000;
const refusedCapMs = 3_600_000;

export async function openReporter(options: ReporterOptions): Promise<Reporter> {
  const { signer, outbox, clock, log } = options;
  let journal = await recover();
  let refusedFulls = 0;
  let epochsRefused = 0;
  let freshDuplicates = 0;
  let turn: Promise<unknown> = Promise.resolve();

  /** One after the other: a number must not be claimed while another report is being made. */
  function serially<T>(work: () => Promise<T>): Promise<T> {
    const next = turn.then(work, work);
    turn = next.catch(() => undefined);
    return next;
  }

  async function recover(): Promise<Journal> {
    const found = await options.journal.load();
    if (found !== undefined && found !== "damaged" && found.device === signer.keyId) return found;
    // Another device's reports (this key is new) can only be refused; our own, with no journal, still count.
    let epoch = Math.max(1, Math.floor(options.now()));
    if (outbox.pending > 0) {
      const waiting = await outbox.read(1000, maxEnvelopeBytes);
      for (const { header } of waiting) if (header?.device === signer.keyId) epoch = Math.max(epoch, header.epoch + 1);
      if (!waiting.some(({ header }) => header?.device === signer.keyId)) await outbox.dropBefore(outbox.last + 1);
    }
    if (found !== undefined)
      log.warn("report-journal-replaced", { reason: found === "damaged" ? "damaged" : "new-key" });
    return { device: signer.keyId, epoch, seq: 0, fullSeq: 0, certain: true };
  }

  async function keep(next: Journal): Promise<void> {
    await options.journal.save(next);
    journal = next;
  }

  function kindFor(packed: PackedState): ReportKind {
    const { base, certain, fullDue } = journal;
    if (base === undefined || !certain || fullDue !== undefined) return "full";
    return baseOf(packed).digest === base.digest ? "heartbeat" : "delta";
  }

  async function textsToSend(packed: PackedState): Promise<Buffer | undefined> {
    return journal.fullDue === "all-texts" ? undefined : options.askUnknown(packed.state.titles);
  }

  /** Claims a number, seals, spools. */
  async function spool(kind: ReportKind, packed: PackedState, facts: Facts): Promise<void> {
    const { base } = journal;
    const sections: Sections =
      kind === "full"
        ? fullSections(packed, facts, await textsToSend(packed))
        : kind === "delta" && base !== undefined
          ? deltaSections(base, packed, facts)
          : {};
    checkSize(sections);
    const seq = journal.seq + 1;
    const { fullDue, ...rest } = journal;
    const after = baseOf(packed);
    await keep({
      ...rest,
      seq,
      base: after,
      certain: false,
      fullSeq: kind === "full" ? seq : journal.fullSeq,
      ...(kind !== "full" && fullDue !== undefined && { fullDue }),
    });
    const evidence = evidenceHash(facts.inventory);
    const header: Omit<ReportHeader, "v" | "body"> = {
      device: signer.keyId,
      epoch: journal.epoch,
      seq,
      kind,
      ...(kind === "delta" && base !== undefined && { base: base.digest }),
      state: after.digest,
      dictionary: options.dictionaryVersion(),
      at: new Date(clock.now()).toISOString(),
      scannedAt: facts.scannedAt,
      ...(evidence !== undefined && { evidence }),
    };
    await outbox.append(sealEnvelope(header, sections, signer));
    await keep({ ...journal, certain: true });
    log.info("report-spooled", { kind, epoch: journal.epoch, seq });
  }

  /** When there is no room: one full report says what all the waiting ones say together. */
  async function spoolOrCoalesce(kind: ReportKind, packed: PackedState, facts: Facts): Promise<ReportKind> {
    try {
      await spool(kind, packed, facts);
      return kind;
    } catch (error) {
      if ((error as { code?: string }).code !== "spool-full" || outbox.pending === 0) throw error;
      log.warn("report-coalesced", { pending: outbox.pending });
      await keep({ ...journal, fullDue: journal.fullDue ?? "ask" });
      await outbox.dropBefore(outbox.last + 1);
      await spool("full", packed, facts);
      return "full";
    }
  }

  /** Higher than the last; refused again, higher by more each time: the one it must exceed may come from a clock far ahead. */
  async function newEpoch(): Promise<void> {
    const { base: _base, ...rest } = journal;
    const leap = 86_400_000 * (2 ** Math.min(epochsRefused, 24) - 1);
    const epoch = Math.max(Math.floor(options.now()), journal.epoch + 1) + leap;
    epochsRefused++;
    log.warn("report-epoch-raised", { epoch });
    await keep({ ...rest, epoch, seq: 0, fullSeq: 0, certain: true, fullDue: "ask" });
  }

  async function demand(texts: FullDue): Promise<void> {
    if (journal.fullDue === "all-texts" || journal.fullDue === texts) return;
    await keep({ ...journal, fullDue: texts });
  }

  async function take({ outgoing, result }: Answered): Promise<Verdict["identity"]> {
    const { header, fresh } = outgoing;
    const { status, code } = result;
    const current = header?.epoch === journal.epoch && header.device === signer.keyId;
    if (status !== "duplicate") freshDuplicates = 0;
    if (status === "stored") {
      if (current) epochsRefused = 0;
      if (header?.kind === "full") refusedFulls = 0;
      return "fine";
    }
    if (status === "duplicate") {
      // Once can be an answer that was lost on its way; twice in a row, this agent was set back (a restored snapshot).
      if (fresh && current && ++freshDuplicates >= 2) {
        freshDuplicates = 0;
        await newEpoch();
      }
      return "fine";
    }
    if (header !== undefined && header.device !== signer.keyId) return "fine";
    if (status === "rejected" && code === "identity-cloned") return "cloned";
    if (status === "rejected" && code === "device-unknown") return "unknown";
    if (status === "rejected" && code === "sequence-regress") {
      if (current) await newEpoch();
      return "fine";
    }
    if (status === "rejected") log.warn("report-rejected", { code: code ?? "none", seq: header?.seq ?? 0 });
    // A later full is on its way already: it answers this.
    if (header !== undefined && (!current || header.seq < journal.fullSeq)) return "fine";
    if (header?.kind === "full" && !(code === "titles-unknown" && refusedFulls === 0)) refusedFulls++;
    await demand(code === "titles-unknown" ? "all-texts" : "ask");
    return "fine";
  }

  return {
    get epoch() {
      return journal.epoch;
    },
    get seq() {
      return journal.seq;
    },
    get fullDue() {
      return journal.fullDue !== undefined;
    },
    report: (facts) =>
      serially(async () => {
        const packed = pack(facts);
        return spoolOrCoalesce(kindFor(packed), packed, facts);
      }),
    heartbeat: (facts) =>
      serially(async () => {
        const packed = pack(facts);
        const kind = kindFor(packed);
        if (kind === "heartbeat" && outbox.pending > 0) return undefined;
        return spoolOrCoalesce(kind, packed, facts);
      }),
    repair: (facts) =>
      serially(async () => {
        await demand("ask");
        await spoolOrCoalesce("full", pack(facts), facts);
        await outbox.dropBefore(outbox.last);
      }),
    demandFull: (texts) => serially(() => demand(texts)),
    answered: (answers) =>
      serially(async () => {
        for (const answer of answers) {
          const identity = await take(answer);
          if (identity !== "fine") return { identity, fullAfterMs: undefined };
        }
        const due = journal.fullDue !== undefined;
        const wait = refusedFulls === 0 ? 0 : Math.min(refusedCapMs, refusedBaseMs * 2 ** (refusedFulls - 1));
        return { identity: "fine", fullAfterMs: due ? wait : undefined };
      }),
  };
}

function checkSize(sections: Sections): void {
  let bytes = 4096;
  for (const section of Object.values(sections)) {
    bytes += section.length + 5;
    if (section.length > maxSectionBytes)
      throw agentErrors.make("report-too-large", { bytes: section.length, limit: maxSectionBytes });
  }
  if (bytes > maxEnvelopeBytes) throw agentErrors.make("report-too-large", { bytes, limit: maxEnvelopeBytes });
}
