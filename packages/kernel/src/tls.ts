/** Purpose: `tls: { certFile, keyFile, caFile }` means the same on every listener and every client. */
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

/** @throws tls-unreadable */
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
  return { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) };
}
