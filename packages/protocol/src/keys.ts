/**
 * Purpose: Ed25519 keys in the one form Daicho uses: 32 raw bytes, base64url. Node's id = first 32 hex digits of SHA-256 over
 * its public key, so an id cannot be claimed without the key.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from "node:crypto";
import { sha256Hex } from "./canonical.ts";

export interface KeyPair {
  /** base64url of the 32 raw bytes. */
  readonly publicKey: string;
  /** base64url of the 32-byte seed. A secret. */
  readonly privateKey: string;
}

export interface Signer {
  readonly publicKey: string;
  readonly keyId: string;
  sign(data: Uint8Array): Buffer;
}

export function generateKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("base64url"),
    privateKey: privateKey.export({ type: "pkcs8", format: "der" }).subarray(-32).toString("base64url"),
  };
}

export function keyIdOf(publicKey: string): string {
  return sha256Hex(Buffer.from(publicKey, "base64url")).slice(0, 32);
}

export function createSigner(pair: KeyPair): Signer {
  // As JWK: reading the same key as DER takes OpenSSL several times as long, and a server does it at every enrolment.
  const key = createPrivateKey({
    key: { kty: "OKP", crv: "Ed25519", x: pair.publicKey, d: pair.privateKey },
    format: "jwk",
  });
  return {
    publicKey: pair.publicKey,
    keyId: keyIdOf(pair.publicKey),
    sign: (data) => sign(null, data, key),
  };
}

/** A public key ready for verifying; undefined where the text is no Ed25519 key. */
export function importPublicKey(publicKey: string): KeyObject | undefined {
  const raw = Buffer.from(publicKey, "base64url");
  if (raw.length !== 32) return undefined;
  try {
    return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
  } catch {
    return undefined;
  }
}

export function verifySignature(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === 64 && verify(null, data, key, signature);
}

/** The same on one of Node's threads: a server that verifies thousands a second keeps its own thread for the store. */
export function verifySignatureAside(key: KeyObject, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (signature.length !== 64) return Promise.resolve(false);
  return new Promise((resolve) =>
    verify(null, data, key, signature, (error, valid) => resolve(error === null && valid)),
  );
}
