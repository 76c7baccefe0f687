/**
 * Purpose: signed documents (dictionary, enterprise policy, certificates) and the one place that verifies them.
 * The payload travels as the exact text that was signed; the signature covers `<type>\n<payload>`, so a document of one
 * type can never pass for another. A reader pins a root (given at enrolment) and never goes back to an older version.
 */
import { Type, type Static } from "./type.ts";
import { importPublicKey, keyIdOf, verifySignature, type KeyPair, type Signer } from "./keys.ts";
import { validator } from "./schema.ts";

export const SignedDocument = Type.Object(
  {
    type: Type.String({ maxLength: 64 }),
    payload: Type.String({ maxLength: 64 * 1024 * 1024 }),
    signatures: Type.Array(
      Type.Object(
        { key: Type.String({ maxLength: 64 }), signature: Type.String({ maxLength: 128 }) },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 8 },
    ),
  },
  { additionalProperties: false },
);
export type SignedDocument = Static<typeof SignedDocument>;
export const validateSignedDocument = validator(SignedDocument);

/** The keys a node trusts: pinned at enrolment. */
export const TrustRoot = Type.Object(
  {
    company: Type.String({ maxLength: 128 }),
    keys: Type.Array(Type.Object({ id: Type.String({ maxLength: 64 }), publicKey: Type.String({ maxLength: 64 }) }), {
      minItems: 1,
      maxItems: 8,
    }),
  },
  { additionalProperties: false },
);
export type TrustRoot = Static<typeof TrustRoot>;

export type DocumentType = "dictionary/v1" | "enterprise-policy/v1" | "certificate/v1" | "company-orders/v1";

/** Why a document was refused. Codes are protocol: they travel upward in a node's status. */
export type DocumentRefusal =
  "document-malformed" | "document-wrong-type" | "document-unknown-key" | "document-altered" | "document-older";

export function signDocument(type: DocumentType, payload: string, signer: Signer): SignedDocument {
  const signature = signer.sign(Buffer.from(`${type}\n${payload}`, "utf8")).toString("base64url");
  return { type, payload, signatures: [{ key: signer.keyId, signature }] };
}

export function verifyDocument(
  document: unknown,
  type: DocumentType,
  root: TrustRoot,
): { readonly ok: true; readonly payload: unknown } | { readonly ok: false; readonly refusal: DocumentRefusal } {
  const checked = validateSignedDocument(document);
  if (!checked.ok) return { ok: false, refusal: "document-malformed" };
  if (checked.value.type !== type) return { ok: false, refusal: "document-wrong-type" };
  const data = Buffer.from(`${type}\n${checked.value.payload}`, "utf8");
  let known = false;
  for (const { key, signature } of checked.value.signatures) {
    const trusted = root.keys.find((k) => k.id === key && keyIdOf(k.publicKey) === key);
    if (trusted === undefined) continue;
    known = true;
    const publicKey = importPublicKey(trusted.publicKey);
    if (publicKey === undefined || !verifySignature(publicKey, data, Buffer.from(signature, "base64url"))) continue;
    try {
      return { ok: true, payload: JSON.parse(checked.value.payload) };
    } catch {
      return { ok: false, refusal: "document-malformed" };
    }
  }
  return { ok: false, refusal: known ? "document-altered" : "document-unknown-key" };
}

export function rootOf(company: string, pair: Pick<KeyPair, "publicKey">): TrustRoot {
  return { company, keys: [{ id: keyIdOf(pair.publicKey), publicKey: pair.publicKey }] };
}
