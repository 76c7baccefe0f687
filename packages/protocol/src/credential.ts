/**
 * Purpose: how a node proves who it is, to any node of its company, without asking the server: a certificate (its id, kind
 * and public key, signed by the company's root at enrolment) and a proof (time, signed by the node's key).
 * `Authorization: Daicho <base64url certificate>.<base64url proof>`. A proof is good for `proofLifetimeMs` either way of the
 * verifier's clock; a node whose clock is off learns the right time from the refusal (`clock-skew` carries `time`) and
 * from the enrolment answer, and signs with corrected time.
 */
import { Type, type Static } from "./type.ts";
import { canonicalJson } from "./canonical.ts";
import { importPublicKey, keyIdOf, verifySignature, type Signer } from "./keys.ts";
import { validator } from "./schema.ts";
import { signDocument, verifyDocument, type SignedDocument, type TrustRoot } from "./signed.ts";

export const nodeKinds = ["agent", "relay", "server"] as const;
export type NodeKind = (typeof nodeKinds)[number];

export const Certificate = Type.Object(
  {
    daicho: Type.Literal("certificate/v1"),
    id: Type.String({ pattern: "^[0-9a-f]{32}$" }),
    kind: Type.Unsafe<NodeKind>({ type: "string", enum: [...nodeKinds] }),
    /** Relay or company name; an agent's host name at enrolment. */
    name: Type.String({ maxLength: 255 }),
    publicKey: Type.String({ maxLength: 64 }),
    company: Type.String({ maxLength: 128 }),
    issuedAt: Type.String({ maxLength: 40 }),
  },
  { additionalProperties: false },
);
export type Certificate = Static<typeof Certificate>;
const checkCertificate = validator(Certificate);

export const proofLifetimeMs = 10 * 60_000;

export function issueCertificate(certificate: Certificate, signer: Signer): SignedDocument {
  return signDocument("certificate/v1", canonicalJson(certificate), signer);
}

/** Makes the header value; good for `proofLifetimeMs`, so callers keep it for half of that. */
export function createCredential(certificate: SignedDocument, signer: Signer, now: number): string {
  const at = String(Math.floor(now));
  const signature = signer.sign(Buffer.from(`daicho-proof/1\n${at}`)).toString("base64url");
  return `Daicho ${Buffer.from(JSON.stringify(certificate)).toString("base64url")}.${at}.${signature}`;
}

export type CredentialRefusal = "credential-missing" | "credential-invalid" | "credential-unknown-root" | "clock-skew";
export type CredentialResult =
  | { readonly ok: true; readonly certificate: Certificate }
  | { readonly ok: false; readonly refusal: CredentialRefusal };

/** A verifier with a bounded cache: a node's header is checked once, not per request. */
export function createCredentialVerifier(options: {
  readonly root: () => TrustRoot;
  readonly now: () => number;
  readonly cacheSize?: number;
}): (header: string | undefined) => CredentialResult {
  const cache = new Map<string, { certificate: Certificate; at: number; rootKeys: string }>();
  const limit = options.cacheSize ?? 50_000;
  return (header) => {
    if (header === undefined) return { ok: false, refusal: "credential-missing" };
    if (header.length > 8192 || !header.startsWith("Daicho ")) return { ok: false, refusal: "credential-invalid" };
    const root = options.root();
    const rootKeys = root.keys.map((k) => k.id).join();
    const now = options.now();
    const known = cache.get(header);
    if (known !== undefined && known.rootKeys === rootKeys)
      return Math.abs(now - known.at) <= proofLifetimeMs
        ? { ok: true, certificate: known.certificate }
        : { ok: false, refusal: "clock-skew" };
    const parsed = parseCredential(header.slice("Daicho ".length));
    if (parsed === undefined) return { ok: false, refusal: "credential-invalid" };
    const verified = verifyDocument(parsed.certificate, "certificate/v1", root);
    if (!verified.ok)
      return {
        ok: false,
        refusal: verified.refusal === "document-unknown-key" ? "credential-unknown-root" : "credential-invalid",
      };
    const checked = checkCertificate(verified.payload);
    if (!checked.ok || keyIdOf(checked.value.publicKey) !== checked.value.id)
      return { ok: false, refusal: "credential-invalid" };
    const key = importPublicKey(checked.value.publicKey);
    if (key === undefined || !verifySignature(key, Buffer.from(`daicho-proof/1\n${parsed.at}`), parsed.signature))
      return { ok: false, refusal: "credential-invalid" };
    if (Math.abs(now - parsed.at) > proofLifetimeMs) return { ok: false, refusal: "clock-skew" };
    if (cache.size >= limit) cache.delete(cache.keys().next().value as string);
    cache.set(header, { certificate: checked.value, at: parsed.at, rootKeys });
    return { ok: true, certificate: checked.value };
  };
}

function parseCredential(text: string): { certificate: unknown; at: number; signature: Buffer } | undefined {
  const [certificate, at, signature, extra] = text.split(".");
  if (certificate === undefined || at === undefined || signature === undefined || extra !== undefined) return undefined;
  if (!/^\d{1,15}$/.test(at)) return undefined;
  try {
    return {
      certificate: JSON.parse(Buffer.from(certificate, "base64url").toString("utf8")),
      at: Number(at),
      signature: Buffer.from(signature, "base64url"),
    };
  } catch {
    return undefined;
  }
}
