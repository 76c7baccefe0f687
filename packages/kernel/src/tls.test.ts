import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { inWords, readTls } from "./tls.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`../../../test/fixtures/tls/${name}`, import.meta.url));
const [certFile, keyFile, caFile] = [fixture("node.pem"), fixture("node.key"), fixture("ca.pem")];
const dir = mkdtempSync(join(tmpdir(), "daicho-tls-"));
const garbage = join(dir, "garbage.pem");
writeFileSync(garbage, "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n");
afterAll(() => rmSync(dir, { recursive: true }));

const refusal = (config: Parameters<typeof readTls>[0]): string => {
  try {
    readTls(config);
    return "none";
  } catch (error) {
    return (error as Error).message;
  }
};

describe("TLS files", () => {
  it("are read where they fit together, and an authority alone is enough for a client", () => {
    expect(Object.keys(readTls({ certFile, keyFile, caFile }) ?? {})).toEqual(["cert", "key", "ca"]);
    expect(Object.keys(readTls({ caFile }) ?? {})).toEqual(["ca"]);
  });

  it("that do not are refused by the key of the configuration, before anything listens", () => {
    expect(refusal({ certFile: join(dir, "none.pem"), keyFile })).toMatch(/^tls\.certFile.*ENOENT/);
    expect(refusal({ certFile: garbage, keyFile })).toBe("tls.certFile is no certificate");
    expect(refusal({ certFile, keyFile: garbage })).toBe("tls.keyFile is no private key");
    expect(refusal({ certFile: caFile, keyFile })).toBe(
      "tls.keyFile is not the key of the certificate in tls.certFile",
    );
    expect(refusal({ certFile })).toBe("tls.keyFile is missing");
    expect(refusal({ keyFile })).toBe("tls.certFile is missing");
    expect(refusal({ caFile: keyFile })).toBe("tls.caFile is no certificate");
  });

  it("of a peer that cannot be trusted are told in words beside the code", () => {
    expect(inWords("CERT_HAS_EXPIRED")).toBe("CERT_HAS_EXPIRED: its certificate has expired");
    expect(inWords("SELF_SIGNED_CERT_IN_CHAIN")).toMatch(/caFile/);
    expect(inWords("ECONNREFUSED")).toBe("ECONNREFUSED");
    expect(inWords("UND_ERR_SOCKET")).toMatch(/https:/);
  });
});
