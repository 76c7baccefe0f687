/**
 * Purpose: makes a node part of its company, once: token and public key up, certificate and trust root down.
 * Invariants: the answered root is believed only if its key has the fingerprint that the token carries, and the certificate
 * only if that root signed it for this very key - so a relay in between cannot put its own root or another identity in place.
 * Failure: coded errors; `retryable` ones leave everything as it was. The token never appears in a message.
 */
import {
  enrollProofText,
  importPublicKey,
  keyIdOf,
  parseEnrollmentToken,
  validateEnrollResponse,
  verifyDocument,
  type Certificate,
  type EnrollRequest,
  type EnrollResponse,
  type MachineEvidence,
  type NodeKind,
} from "@daicho/protocol";
import { inWords } from "@daicho/kernel";
import { uplinkErrors } from "./errors.ts";
import type { Enrollment, Identity } from "./identity.ts";
import { createTransport, type TransportOptions } from "./transport.ts";

export interface EnrollOptions extends TransportOptions {
  readonly token: string;
  readonly kind: NodeKind;
  /** Host name of an agent, name of a relay, company code of a server. */
  readonly name: string;
  readonly evidence?: MachineEvidence;
  readonly identity: Identity;
  readonly signal?: AbortSignal;
}

export interface Enrolled {
  readonly enrollment: Enrollment;
  /** What the right time is ahead of this machine's clock, milliseconds. */
  readonly clockOffset: number;
}

/**
 * Enrolls and saves the result in the identity.
 * @throws token-malformed, enrollment-refused, root-mismatch, certificate-mismatch; retryable: upstream-unreachable,
 * upstream-busy (with retryAfter), enrollment-answer-invalid
 */
export async function enroll(options: EnrollOptions): Promise<Enrolled> {
  const { identity, kind, name, clock } = options;
  const token = options.token.trim();
  const parsed = parseEnrollmentToken(token);
  if (parsed === undefined) throw uplinkErrors.make("token-malformed");
  const request: EnrollRequest = {
    token,
    publicKey: identity.signer.publicKey,
    kind,
    name,
    ...(options.evidence && { evidence: options.evidence }),
    proof: identity.signer.sign(enrollProofText({ token, kind, name })).toString("base64url"),
  };
  const transport = createTransport(options);
  try {
    const result = await transport.send(
      "POST",
      "/ingest/v1/enroll",
      { body: Buffer.from(JSON.stringify(request)), signal: options.signal, maxBytes: 256 * 1024 },
      { headers: () => ({ "content-type": "application/json" }) },
    );
    if (result.kind === "refused") throw uplinkErrors.make("enrollment-refused", { code: result.problem.code });
    if (result.kind === "retry") throw later(result.code, result.after);
    const answer = parseAnswer(result.value.body);
    verifyAnswer(answer, parsed.rootFingerprint, identity, kind);
    const enrollment: Enrollment = {
      certificate: answer.certificate,
      root: answer.root,
      enrolledAt: new Date(clock.now()).toISOString(),
    };
    await identity.saveEnrollment(enrollment);
    const time = Date.parse(answer.time);
    return { enrollment, clockOffset: Number.isFinite(time) ? time - clock.now() : 0 };
  } finally {
    await transport.close();
  }
}

function later(code: string, afterMs: number): Error {
  const unreachable = /^[A-Z]|^upstream-unreachable$|^http-/.test(code);
  return uplinkErrors.make(
    unreachable ? "upstream-unreachable" : "upstream-busy",
    { reason: inWords(code) },
    { retryAfter: Math.ceil(afterMs / 1000) },
  );
}

function parseAnswer(body: Buffer): EnrollResponse {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    throw uplinkErrors.make("enrollment-answer-invalid", { reason: "not JSON" });
  }
  const checked = validateEnrollResponse(value);
  if (checked.ok) return checked.value;
  throw uplinkErrors.make("enrollment-answer-invalid", { reason: checked.faults[0]?.path ?? "not valid" });
}

function verifyAnswer(answer: EnrollResponse, fingerprint: string, identity: Identity, kind: NodeKind): void {
  // Every key of the root must be vouched for: the token vouches for one, so one is what an enrollment may pin.
  const [key, ...others] = answer.root.keys;
  if (key === undefined || others.length > 0) throw uplinkErrors.make("root-mismatch");
  if (key.id !== fingerprint || keyIdOf(key.publicKey) !== fingerprint || importPublicKey(key.publicKey) === undefined)
    throw uplinkErrors.make("root-mismatch");
  const verified = verifyDocument(answer.certificate, "certificate/v1", answer.root);
  if (!verified.ok) throw uplinkErrors.make("certificate-mismatch", { reason: verified.refusal });
  const certificate = verified.payload as Partial<Certificate> | null;
  if (certificate?.publicKey !== identity.signer.publicKey || certificate.id !== identity.id)
    throw uplinkErrors.make("certificate-mismatch", { reason: "another key" });
  if (certificate.kind !== kind) throw uplinkErrors.make("certificate-mismatch", { reason: "another kind of node" });
}
