/**
 * Purpose: `tls: { certFile, keyFile, caFile }` means the same on every listener and every client, and what is wrong with a certificate is
 * said in words - here for one's own files, before anything listens; for a peer's by `inWords`.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { kernelErrors } from "./kernel-errors.ts";

export interface TlsConfig {
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly caFile?: string;
}

export interface TlsMaterial {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

/** JSON Schema of the `tls` block. */
export const tlsSchema = {
  type: "object",
  additionalProperties: false,
  properties: { certFile: { type: "string" }, keyFile: { type: "string" }, caFile: { type: "string" } },
} as const;

/** @throws tls-unreadable, tls-unusable */
export function readTls(config: TlsConfig | undefined): TlsMaterial | undefined {
  if (config === undefined) return undefined;
  const read = (key: keyof TlsConfig): string | undefined => {
    const file = config[key];
    if (file === undefined) return undefined;
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      throw kernelErrors.make("tls-unreadable", { key, reason: (error as NodeJS.ErrnoException).code ?? "unknown" });
    }
  };
  const cert = read("certFile");
  const key = read("keyFile");
  const ca = read("caFile");
  const made =
    cert === undefined ? undefined : usable("certFile", "is no certificate", () => new X509Certificate(cert));
  const secret = key === undefined ? undefined : usable("keyFile", "is no private key", () => createPrivateKey(key));
  if (ca !== undefined) usable("caFile", "is no certificate", () => new X509Certificate(ca));
  if (made !== undefined && secret === undefined) throw unusable("keyFile", "is missing");
  if (made === undefined && secret !== undefined) throw unusable("certFile", "is missing");
  if (made !== undefined && secret !== undefined && !made.checkPrivateKey(secret))
    throw unusable("keyFile", "is not the key of the certificate in tls.certFile");
  return { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) };
}

function usable<T>(key: keyof TlsConfig, otherwise: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw unusable(key, otherwise);
  }
}

const unusable = (key: keyof TlsConfig, reason: string): Error => kernelErrors.make("tls-unusable", { key, reason });

const untrusted = "its certificate is of an authority not trusted here; give that one as tls.caFile or --ca";
const notTls = "it does not speak TLS; is it http:// instead of https://?";
const words: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet; is this machine's clock right?",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name than the address has",
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  ERR_SSL_WRONG_VERSION_NUMBER: notTls,
  EPROTO: notTls,
  UND_ERR_SOCKET: "it hung up; where it speaks TLS, the address must begin with https://",
};

/** Why there was no connection: the code, and for what an operator has to do about certificates the words. */
export function inWords(code: string): string {
  const meant = words[code];
  return meant === undefined ? code : `${code}: ${meant}`;
}
