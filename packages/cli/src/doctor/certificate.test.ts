import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { TlsConfig } from "@daicho/kernel";
import { checkCertificate } from "./certificate.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../../../test/fixtures/tls/${name}`, import.meta.url));
const tls = { certFile: fixture("node.pem"), keyFile: fixture("node.key") };
const { validFrom, validTo } = new X509Certificate(readFileSync(tls.certFile));
const day = 86_400_000;

async function told(config: TlsConfig | undefined, now?: number): Promise<readonly [boolean, string][]> {
  const checks: [boolean, string][] = [];
  for await (const { ok, says } of checkCertificate(config, now)) checks.push([ok, says]);
  return checks;
}

it("a node's own certificate that has expired, or is not valid yet, is wrong with the day", async () => {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  const iso = (at: number): string => new Date(at).toISOString();
  expect(await told(tls, to - day)).toEqual([[true, `valid until ${iso(to)}`]]);
  expect(await told(tls, to + day)).toEqual([[false, expect.stringContaining(`has expired at ${iso(to)}`)]]);
  expect(await told(tls, from - day)).toEqual([[false, expect.stringContaining(`not valid before ${iso(from)}`)]]);
});

it("one that cannot be used is wrong, and a node without one has nothing to check", async () => {
  expect(await told({ ...tls, keyFile: fixture("none.key") })).toEqual([[false, expect.stringContaining("ENOENT")]]);
  expect(await told({ caFile: fixture("ca.pem") })).toEqual([]);
  expect(await told(undefined)).toEqual([]);
});
