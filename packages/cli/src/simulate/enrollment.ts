/**
 * Purpose: enrols every device with the real token, as each agent would; keeps the few credentials that requests are sent with.
 * The same key with the same token gets its certificate again, so a second run works like the first.
 */
import {
  createCredential,
  enrollProofText,
  parseEnrollmentToken,
  validateEnrollResponse,
  verifyDocument,
  type SignedDocument,
} from "@daicho/protocol";
import { cliErrors } from "../errors.ts";
import type { Fleet } from "./fleet.ts";
import type { Identities } from "./identities.ts";
import type { Wire, WireTrouble } from "./wire.ts";

export interface Enrolled {
  readonly seconds: number;
  readonly trouble: WireTrouble;
  /** The Authorization header of a device whose certificate was kept. */
  authorization(device: number): string;
}

const credentialLifetimeMs = 5 * 60_000;

/** `keep`: certificates of devices below this number are kept. @throws enrollment-refused, answer-invalid */
export async function enrollFleet(options: {
  readonly fleet: Fleet;
  readonly identities: Identities;
  readonly wire: Wire;
  readonly upstream: string;
  readonly token: string;
  /** From, up to and not including. */
  readonly devices: readonly [number, number];
  readonly keep: number;
  readonly concurrency: number;
  readonly now: () => number;
  readonly stop: AbortSignal;
  readonly onProgress: (enrolled: number) => void;
}): Promise<Enrolled> {
  const { fleet, identities, wire, token, upstream } = options;
  const [from, to] = options.devices;
  const fingerprint = parseEnrollmentToken(token)?.rootFingerprint;
  const certificates = new Map<number, SignedDocument>();
  const credentials = new Map<number, { text: string; at: number }>();
  const trouble: WireTrouble = { busy: 0, failed: 0 };
  let clockOffset = 0;

  async function enrollOne(device: number): Promise<void> {
    const signer = identities.signer(device);
    const kind = "agent";
    const name = fleet.hostname(device);
    const proof = signer.sign(enrollProofText({ token, kind, name })).toString("base64url");
    const { publicKey } = signer;
    const body = JSON.stringify({ token, publicKey, kind, name, evidence: fleet.evidence(device), proof });
    const answer = await wire.post({ path: "/ingest/v1/enroll", type: "application/json", body, trouble });
    if (answer === undefined) return;
    if (answer.status !== 200 && answer.status !== 201)
      throw cliErrors.make("enrollment-refused", { server: upstream, code: problemCode(answer.body, answer.status) });
    if (device >= options.keep) return;
    const checked = validateEnrollResponse(parse(answer.body));
    if (!checked.ok) throw cliErrors.make("answer-invalid", { server: upstream, reason: "not an enrolment" });
    const { certificate, root, time } = checked.value;
    const verified = verifyDocument(certificate, "certificate/v1", root);
    if (!verified.ok || root.keys[0]?.id !== fingerprint)
      throw cliErrors.make("answer-invalid", { server: upstream, reason: "not the root that the token names" });
    certificates.set(device, certificate);
    clockOffset = Date.parse(time) - options.now() || 0;
  }

  const since = performance.now();
  let next = from;
  let done = 0;
  await Promise.all(
    Array.from({ length: options.concurrency }, async () => {
      while (next < to && !options.stop.aborted) {
        await enrollOne(next++);
        options.onProgress(++done);
      }
    }),
  );

  return {
    seconds: (performance.now() - since) / 1000,
    trouble,
    authorization(device) {
      const certificate = certificates.get(device);
      if (certificate === undefined) throw new RangeError(`no certificate of device ${device} was kept`);
      const now = options.now() + clockOffset;
      const known = credentials.get(device);
      if (known !== undefined && now - known.at < credentialLifetimeMs) return known.text;
      const text = createCredential(certificate, identities.signer(device), now);
      credentials.set(device, { text, at: now });
      return text;
    },
  };
}

export function problemCode(body: Buffer, status: number): string {
  const { code } = (parse(body) ?? {}) as { code?: unknown };
  return typeof code === "string" && /^[a-z0-9-]{1,64}$/.test(code) ? code : `HTTP ${status}`;
}

export function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}
