/**
 * Purpose: the report envelope - the unit of delivery. Signed by the device end to end; relays store and pass it without understanding it.
 *
 * Bytes of one envelope:   1 version (0x01) · u32be header length · header (JSON, UTF-8) · 64 bytes Ed25519 signature over
 *                          "daicho-report/1\n" + header · u32be body length · body
 * The header names the SHA-256 of the body, so the signature covers both. A body is a run of sections: u8 id · u32be length · bytes.
 * A batch (application/vnd.daicho.reports): u32be length · envelope, repeated.
 * Invariants: every length is bounded before anything is allocated; a malformed envelope is refused alone, not its batch.
 */
import { Type, type Static } from "./type.ts";
import type { KeyObject } from "node:crypto";
import { sha256Hex } from "./canonical.ts";
import { verifySignature, verifySignatureAside, type Signer } from "./keys.ts";
import { validator } from "./schema.ts";
import { maxSectionBytes } from "./state.ts";

export const reportsContentType = "application/vnd.daicho.reports";
export const maxEnvelopeBytes = 8 * 1024 * 1024;
export const maxBatchBytes = 16 * 1024 * 1024;
export const maxBatchEnvelopes = 1000;
const maxHeaderBytes = 4096;
const version = 1;

export const reportKinds = ["full", "delta", "heartbeat"] as const;
export type ReportKind = (typeof reportKinds)[number];

const Digest = Type.String({ pattern: "^[0-9a-f]{64}$" });

export const ReportHeader = Type.Object(
  {
    v: Type.Literal(1),
    /** Identity: hash of the device's public key. */
    device: Type.String({ pattern: "^[0-9a-f]{32}$" }),
    /** Rises when the device has lost count of its sequence; a new epoch starts with a full report. */
    epoch: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    /** Rises by any step within an epoch; one number per report. */
    seq: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    kind: Type.Unsafe<ReportKind>({ type: "string", enum: [...reportKinds] }),
    /** Digest of the state a delta starts from. */
    base: Type.Optional(Digest),
    /** Digest of the state after this report; a heartbeat says what it believes is held. */
    state: Digest,
    /** Dictionary version the agent holds; 0 = none. */
    dictionary: Type.Integer({ minimum: 0 }),
    /** When the report was made and when the scan behind it ended, by the device's clock, RFC 3339. */
    at: Type.String({ maxLength: 40 }),
    scannedAt: Type.Optional(Type.String({ maxLength: 40 })),
    /** Machine evidence for noticing a copied key: hash over serial, UUID and MACs without junk values. */
    evidence: Type.Optional(Type.String({ maxLength: 64 })),
    /** SHA-256 of the body, hex. */
    body: Digest,
  },
  { additionalProperties: false },
);
export type ReportHeader = Static<typeof ReportHeader>;
const checkHeader = validator(ReportHeader);

export const sectionIds = {
  titles: 1,
  titlesAdded: 2,
  titlesRemoved: 3,
  /** Deflated JSON: TitleText[] for titles the server may not know. */
  texts: 4,
  details: 5,
  machine: 6,
  probes: 7,
  /** Deflated JSON: scan information (times, errors); no part of the state. */
  scan: 8,
} as const;
export type SectionName = keyof typeof sectionIds;
export type Sections = Partial<Record<SectionName, Buffer>>;
const sectionNames = new Map<number, SectionName>(
  (Object.entries(sectionIds) as [SectionName, number][]).map(([name, id]) => [id, name]),
);

export interface Envelope {
  readonly header: ReportHeader;
  /** Exactly the bytes that were signed, without the prefix. */
  readonly headerBytes: Buffer;
  readonly signature: Buffer;
  readonly body: Buffer;
  /** The whole envelope as received. */
  readonly bytes: Buffer;
}

export type EnvelopeRefusal =
  | "envelope-malformed"
  | "envelope-header-invalid"
  | "envelope-too-large"
  | "envelope-body-altered"
  | "envelope-version";

const signaturePrefix = Buffer.from("daicho-report/1\n");

export function packSections(sections: Sections): Buffer {
  const parts: Buffer[] = [];
  for (const [name, id] of Object.entries(sectionIds) as [SectionName, number][]) {
    const bytes = sections[name];
    if (bytes === undefined) continue;
    const head = Buffer.alloc(5);
    head.writeUInt8(id, 0);
    head.writeUInt32BE(bytes.length, 1);
    parts.push(head, bytes);
  }
  return Buffer.concat(parts);
}

/** undefined where the body is no run of known sections, each at most once. */
export function unpackSections(body: Buffer): Sections | undefined {
  const sections: Sections = {};
  let at = 0;
  while (at < body.length) {
    if (at + 5 > body.length) return undefined;
    const name = sectionNames.get(body.readUInt8(at));
    const length = body.readUInt32BE(at + 1);
    at += 5;
    if (name === undefined || length > maxSectionBytes || at + length > body.length || sections[name] !== undefined)
      return undefined;
    sections[name] = body.subarray(at, at + length);
    at += length;
  }
  return sections;
}

export function sealEnvelope(header: Omit<ReportHeader, "body" | "v">, sections: Sections, signer: Signer): Buffer {
  const body = packSections(sections);
  const headerBytes = Buffer.from(
    JSON.stringify({ v: 1, ...header, body: sha256Hex(body) } satisfies ReportHeader),
    "utf8",
  );
  const signature = signer.sign(Buffer.concat([signaturePrefix, headerBytes]));
  const out = Buffer.alloc(1 + 4 + headerBytes.length + 64 + 4 + body.length);
  let at = out.writeUInt8(version, 0);
  at = out.writeUInt32BE(headerBytes.length, at);
  at += headerBytes.copy(out, at);
  at += signature.copy(out, at);
  at = out.writeUInt32BE(body.length, at);
  body.copy(out, at);
  return out;
}

/** Takes an envelope apart and checks everything but the signature (a relay need not know the key). */
export function openEnvelope(
  bytes: Buffer,
): { readonly ok: true; readonly envelope: Envelope } | { readonly ok: false; readonly refusal: EnvelopeRefusal } {
  if (bytes.length > maxEnvelopeBytes) return { ok: false, refusal: "envelope-too-large" };
  if (bytes.length < 5) return { ok: false, refusal: "envelope-malformed" };
  if (bytes.readUInt8(0) !== version) return { ok: false, refusal: "envelope-version" };
  const headerLength = bytes.readUInt32BE(1);
  if (headerLength > maxHeaderBytes || 5 + headerLength + 68 > bytes.length)
    return { ok: false, refusal: "envelope-malformed" };
  const headerBytes = bytes.subarray(5, 5 + headerLength);
  const signature = bytes.subarray(5 + headerLength, 5 + headerLength + 64);
  const bodyLength = bytes.readUInt32BE(5 + headerLength + 64);
  const body = bytes.subarray(5 + headerLength + 68);
  if (body.length !== bodyLength) return { ok: false, refusal: "envelope-malformed" };
  let parsed: unknown;
  try {
    parsed = JSON.parse(headerBytes.toString("utf8"));
  } catch {
    return { ok: false, refusal: "envelope-header-invalid" };
  }
  const checked = checkHeader(parsed);
  if (!checked.ok) return { ok: false, refusal: "envelope-header-invalid" };
  if (sha256Hex(body) !== checked.value.body) return { ok: false, refusal: "envelope-body-altered" };
  return { ok: true, envelope: { header: checked.value, headerBytes, signature, body, bytes } };
}

export function verifyEnvelope(envelope: Envelope, key: KeyObject): boolean {
  return verifySignature(key, Buffer.concat([signaturePrefix, envelope.headerBytes]), envelope.signature);
}

/** The same on another thread. */
export function verifyEnvelopeAside(envelope: Envelope, key: KeyObject): Promise<boolean> {
  return verifySignatureAside(key, Buffer.concat([signaturePrefix, envelope.headerBytes]), envelope.signature);
}

export function packBatch(envelopes: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const envelope of envelopes) {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(envelope.length, 0);
    parts.push(head, envelope);
  }
  return Buffer.concat(parts);
}

/** undefined where the batch itself is torn or beyond its bounds. */
export function unpackBatch(bytes: Buffer): readonly Buffer[] | undefined {
  const envelopes: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined;
    const length = bytes.readUInt32BE(at);
    at += 4;
    if (length > maxEnvelopeBytes || at + length > bytes.length || envelopes.length >= maxBatchEnvelopes)
      return undefined;
    envelopes.push(bytes.subarray(at, at + length));
    at += length;
  }
  return envelopes;
}
