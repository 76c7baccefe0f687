/** Purpose: the check of a node's own certificate. The node itself goes on when it expires; those below can no longer connect. */
import { X509Certificate } from "node:crypto";
import { readTls, type TlsConfig } from "@daicho/kernel";
import { attempt, Finding, type Check } from "./check.ts";

export async function* checkCertificate(tls: TlsConfig | undefined, now = Date.now()): AsyncGenerator<Check> {
  const file = tls?.certFile;
  if (file === undefined) return;
  yield await attempt("certificate", file, () => {
    const { validFrom, validTo } = new X509Certificate(readTls(tls)?.cert ?? "");
    const [from, to] = [new Date(validFrom), new Date(validTo)];
    if (now < from.getTime())
      throw new Finding(`is not valid before ${from.toISOString()}; is this machine's clock right?`);
    if (now > to.getTime()) throw new Finding(`has expired at ${to.toISOString()}; make it anew and restart the node`);
    return Promise.resolve(`valid until ${to.toISOString()}`);
  });
}
