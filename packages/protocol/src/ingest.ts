/**
 * Purpose: requests and answers of `/ingest/v1`, the same at a relay and at a server (contract.md "Between nodes").
 */
import { Type, type Static } from "./type.ts";
import { nodeKinds, type NodeKind } from "./credential.ts";
import type { EnvelopeRefusal } from "./envelope.ts";
import { validator } from "./schema.ts";
import { SignedDocument, TrustRoot } from "./signed.ts";

/** `<major>.<minor>` in the `daicho-protocol` header. A peer one minor away is served; anything else is refused. */
export const protocolVersion = "1.0";
export const protocolHeader = "daicho-protocol";

export function protocolCompatible(peer: string | undefined): boolean {
  if (peer === undefined) return true;
  const match = /^(\d{1,4})\.(\d{1,4})$/.exec(peer);
  const own = protocolVersion.split(".").map(Number);
  return match !== null && Number(match[1]) === own[0] && Math.abs(Number(match[2]) - (own[1] ?? 0)) <= 1;
}

/** What a machine says about itself besides its key; junk values left out by the sender and ignored by the receiver. */
export const MachineEvidence = Type.Object(
  {
    hostname: Type.Optional(Type.String({ maxLength: 255 })),
    serial: Type.Optional(Type.String({ maxLength: 128 })),
    uuid: Type.Optional(Type.String({ maxLength: 64 })),
    macs: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 })),
  },
  { additionalProperties: false },
);
export type MachineEvidence = Static<typeof MachineEvidence>;

/**
 * Enrolment tokens read `dct1.<secret>.<first 32 hex of SHA-256 of the root key>`: the fingerprint pins the root, so that
 * a relay in between cannot put its own in place.
 */
export const EnrollRequest = Type.Object(
  {
    token: Type.String({ minLength: 8, maxLength: 256 }),
    publicKey: Type.String({ minLength: 43, maxLength: 44 }),
    kind: Type.Unsafe<NodeKind>({ type: "string", enum: [...nodeKinds] }),
    /** Host name of an agent, name of a relay, company code of a server. */
    name: Type.String({ minLength: 1, maxLength: 255 }),
    evidence: Type.Optional(MachineEvidence),
    /** Ed25519 over `daicho-enroll/1\n<token>\n<kind>\n<name>`, base64url: proof that the sender holds the key. */
    proof: Type.String({ maxLength: 128 }),
  },
  { additionalProperties: false },
);
export type EnrollRequest = Static<typeof EnrollRequest>;
export const validateEnrollRequest = validator(EnrollRequest);

export function enrollProofText(request: Pick<EnrollRequest, "token" | "kind" | "name">): Buffer {
  return Buffer.from(`daicho-enroll/1\n${request.token}\n${request.kind}\n${request.name}`, "utf8");
}

export const EnrollResponse = Type.Object(
  {
    id: Type.String(),
    certificate: SignedDocument,
    root: TrustRoot,
    /** The server's time, RFC 3339, for nodes whose clock is off. */
    time: Type.String(),
  },
  { additionalProperties: true },
);
export type EnrollResponse = Static<typeof EnrollResponse>;
export const validateEnrollResponse = validator(EnrollResponse);

export function parseEnrollmentToken(token: string): { secret: string; rootFingerprint: string } | undefined {
  const match = /^dct1\.([A-Za-z0-9_-]{20,100})\.([0-9a-f]{32})$/.exec(token.trim());
  return match === null ? undefined : { secret: match[1] as string, rootFingerprint: match[2] as string };
}

export const reportStatuses = ["stored", "duplicate", "need-full", "rejected"] as const;
export type ReportStatus = (typeof reportStatuses)[number];

/** What is said of one report of a batch, beside `stored` and `duplicate`. `action`: what the device does, or who has to see to it. */
export const reportAnswers = {
  ...({
    "envelope-too-large": answer("rejected", "it is larger than an envelope may be", "Update the agent."),
    "envelope-malformed": answer("rejected", "it is no envelope, or was cut short", "The device sends a full report."),
    "envelope-version": answer("rejected", "its envelope is of another version", "Update the older of the two."),
    "envelope-header-invalid": answer("rejected", "its header is not valid", "Update the agent."),
    "envelope-body-altered": answer("rejected", "its body is not the one it names", "See to the node that brought it."),
  } satisfies Record<EnvelopeRefusal, ReportAnswer>),
  "device-unknown": answer("rejected", "no device with this id is enrolled here", "The device enrols anew."),
  "signature-invalid": answer(
    "rejected",
    "it was altered or signed by another key",
    "See to the node that brought it.",
  ),
  "device-not-sender": answer(
    "rejected",
    "it is another device's than the one that sent it",
    "See to the device that sent it.",
  ),
  "report-malformed": answer(
    "rejected",
    "its content is not valid",
    "Update the agent; if it is up to date, see to the device.",
  ),
  "sequence-regress": answer("rejected", "its count went back", "The device starts a new epoch with a full report."),
  "identity-cloned": answer("rejected", "another machine reports with this key", "The device enrols anew."),
  "titles-too-many": answer(
    "rejected",
    "the device has brought too many new titles today",
    "The device's next full report after midnight UTC is taken; titles that are known are taken at any time. If it is honest, raise `reports.newTitles`.",
  ),
  "titles-unknown": answer(
    "need-full",
    "it names titles without their texts",
    "The device sends a full report with the texts of all titles.",
  ),
  "base-differs": answer("need-full", "it builds on another state than is held", "The device sends a full report."),
  "digest-differs": answer("need-full", "the state it signs is not the one held", "The device sends a full report."),
  "device-moved": answer("need-full", "its device was merged with another", "The device sends a full report."),
} as const satisfies Record<string, ReportAnswer>;
export type ReportAnswerCode = keyof typeof reportAnswers;

interface ReportAnswer {
  readonly status: "rejected" | "need-full";
  readonly message: string;
  readonly retryable: boolean;
  readonly action: string;
}

function answer(status: ReportAnswer["status"], message: string, action: string): ReportAnswer {
  return { status, message, retryable: false, action };
}

/** One per envelope, in order; its codes are those of `reportAnswers`. */
export const ReportResult = Type.Object({
  status: Type.Unsafe<ReportStatus>({ type: "string", enum: [...reportStatuses] }),
  code: Type.Optional(Type.String({ maxLength: 64 })),
  message: Type.Optional(Type.String({ maxLength: 512 })),
});
export type ReportResult = Static<typeof ReportResult>;

export const ReportsResponse = Type.Object(
  {
    results: Type.Array(ReportResult),
    /** Dictionary version current at the answering node; a sender that holds less fetches it. */
    dictionary: Type.Optional(Type.Integer({ minimum: 0 })),
    /** When the sender should come next, seconds; absent = by its own schedule. */
    nextContactSeconds: Type.Optional(Type.Number({ minimum: 0 })),
    time: Type.String(),
  },
  { additionalProperties: true },
);
export type ReportsResponse = Static<typeof ReportsResponse>;
export const validateReportsResponse = validator(ReportsResponse);

/** Down the channel. Every message may be lost: each only hastens what a heartbeat or a conditional fetch finds anyway. */
export const DownMessage = Type.Union([
  Type.Object({ type: Type.Literal("hello"), time: Type.String(), dictionary: Type.Integer({ minimum: 0 }) }),
  Type.Object({ type: Type.Literal("policy-changed"), dictionary: Type.Integer({ minimum: 0 }) }),
  /** Absent devices = every device below. */
  Type.Object({
    type: Type.Literal("scan-now"),
    devices: Type.Optional(Type.Array(Type.String(), { maxItems: 10_000 })),
  }),
  /** `code` as in ReportResult: `titles-unknown` asks for the texts of all titles too. */
  Type.Object({
    type: Type.Literal("need-full"),
    devices: Type.Array(Type.String(), { maxItems: 10_000 }),
    code: Type.Optional(Type.String({ maxLength: 64 })),
  }),
  Type.Object({ type: Type.Literal("message"), text: Type.String({ maxLength: 4096 }) }),
]);
export type DownMessage = Static<typeof DownMessage>;
export const validateDownMessage = validator(DownMessage);

/** Up the channel: who is connected below a relay, as counts; a server or agent says nothing but its own presence by being connected. */
export const UpMessage = Type.Union([
  Type.Object({
    type: Type.Literal("presence"),
    agents: Type.Integer({ minimum: 0 }),
    relays: Type.Integer({ minimum: 0 }),
  }),
]);
export type UpMessage = Static<typeof UpMessage>;
export const validateUpMessage = validator(UpMessage);
