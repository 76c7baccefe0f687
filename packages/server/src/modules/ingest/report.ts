/**
 * Purpose: one received envelope, taken apart and checked as far as that is possible without the store: form, size, digest of the body, signature.
 * What comes out is ready to be applied to whatever state the device turns out to be in.
 */
import type { KeyObject } from "node:crypto";
import {
  isPackedHashes,
  maxTitles,
  openEnvelope,
  reportAnswers,
  unpackSection,
  unpackSections,
  verifyEnvelopeAside,
  type Envelope,
  type ReportAnswerCode,
  type ReportHeader,
  type ReportResult,
  type TitleText,
} from "@daicho/protocol";
import { createTurns } from "../../slices.ts";
import type { Titles } from "../inventory/titles.ts";

export interface Sender {
  readonly id: string;
  readonly device: number;
  readonly key: KeyObject;
}

export interface ReceivedReport {
  readonly header: ReportHeader;
  readonly sender: Sender;
  readonly madeAt: number;
  readonly scannedAt: number;
  readonly texts: readonly TitleText[];
  /** Packed hashes: a full report's titles, or a delta's added and removed ones. */
  readonly titles: Buffer | undefined;
  readonly added: Buffer;
  readonly removed: Buffer;
  /** Ids of `titles` or `added`, where all were known when it came. */
  readonly ids: Uint32Array | undefined;
  /** As sent; what is inside is looked at where it differs from what is held (`unpackMachine`, `unpackProbes`). */
  readonly details: Buffer | undefined;
  readonly probes: Buffer | undefined;
  readonly machine: Buffer | undefined;
  readonly scan: Buffer | undefined;
}

export function rejected(code: ReportAnswerCode, message: string = reportAnswers[code].message): ReportResult {
  return { status: "rejected", code, message };
}

/** The header of an envelope, before anything is known of its sender. */
export function openReport(
  bytes: Buffer,
): { readonly ok: true; readonly envelope: Envelope } | { readonly ok: false; readonly result: ReportResult } {
  const opened = openEnvelope(bytes);
  return opened.ok ? opened : { ok: false, result: rejected(opened.refusal) };
}

/** Signatures of hundreds of reports may turn out right at once: what comes then is this thread's, and has to give way in between. */
const turn = createTurns();

/** Checks signature and content. Never throws, whatever the bytes are. */
export async function readReport(
  envelope: Envelope,
  sender: Sender | undefined,
  titles: Pick<Titles, "readTexts" | "idsOf">,
): Promise<
  { readonly ok: true; readonly report: ReceivedReport } | { readonly ok: false; readonly result: ReportResult }
> {
  if (sender === undefined) return fail("device-unknown");
  if (!(await verifyEnvelopeAside(envelope, sender.key))) return fail("signature-invalid");
  await turn();
  const { header } = envelope;
  const madeAt = Date.parse(header.at);
  const scannedAt = header.scannedAt === undefined ? madeAt : Date.parse(header.scannedAt);
  if (!Number.isFinite(madeAt) || !Number.isFinite(scannedAt))
    return fail("report-malformed", "its times are not RFC 3339");
  const sections = unpackSections(envelope.body);
  if (sections === undefined) return fail("report-malformed", "its body is no run of sections");
  const empty = Buffer.alloc(0);
  try {
    for (const hashes of [sections.titles, sections.titlesAdded, sections.titlesRemoved])
      if (hashes !== undefined && (!isPackedHashes(hashes) || hashes.length > maxTitles * 8))
        return fail("report-malformed", "its title hashes are not sorted, or too many");
    if (header.kind === "full" && (!sections.titles || !sections.details || !sections.probes || !sections.machine))
      return fail("report-malformed", "a full report lacks a section");
    if (header.kind === "delta" && (header.base === undefined || sections.titles !== undefined))
      return fail("report-malformed", "a delta needs a base and no full titles");
    const named = sections.titles ?? sections.titlesAdded;
    const ids = named === undefined ? undefined : titles.idsOf(named);
    // Of titles that are known the texts have nothing to tell.
    const texts =
      sections.texts === undefined || ids !== undefined ? [] : titles.readTexts(unpackSection(sections.texts));
    if (texts === undefined) return fail("report-malformed", "its title texts are not valid");
    const changes = header.kind === "heartbeat" ? {} : sections;
    return {
      ok: true,
      report: {
        header,
        sender,
        madeAt,
        scannedAt,
        texts,
        titles: changes.titles,
        added: changes.titlesAdded ?? empty,
        removed: changes.titlesRemoved ?? empty,
        ids: header.kind === "heartbeat" ? undefined : ids,
        details: changes.details,
        probes: changes.probes,
        machine: changes.machine,
        scan: sections.scan,
      },
    };
  } catch (error) {
    // zlib, JSON and schema faults of a hostile or broken sender; the bytes themselves stay out of the message.
    return fail("report-malformed", error instanceof RangeError ? error.message : "a section cannot be unpacked");
  }
}

function fail(code: ReportAnswerCode, message?: string): { ok: false; result: ReportResult } {
  return { ok: false, result: rejected(code, message) };
}
