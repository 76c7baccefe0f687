/**
 * Purpose: who is calling: a node of this company, proven against the pinned root without asking the server.
 * Runs before the body is read, so that a stranger costs a header. Whom the company removed is refused as far as this relay has heard of it.
 */
import {
  createCredentialVerifier,
  protocolCompatible,
  protocolVersion,
  type Certificate,
  type NodeKind,
  type TrustRoot,
} from "@daicho/protocol";
import { relayErrors } from "../errors.ts";

export interface Caller {
  readonly authorization: string | undefined;
  /** Value of the daicho-protocol header. */
  readonly protocol: string | undefined;
}

/** @throws credential-…, clock-skew, node-removed, kind-not-allowed, version-unsupported */
export type Authenticate = (caller: Caller, kinds: readonly NodeKind[]) => Certificate;

export function createAuthenticate(options: {
  readonly root: () => TrustRoot;
  readonly removed: { has(id: string): boolean };
  /** The right time, as far as this node knows it. */
  readonly now: () => number;
}): Authenticate {
  const verify = createCredentialVerifier(options);
  return (caller, kinds) => {
    if (!protocolCompatible(caller.protocol))
      throw relayErrors.make("version-unsupported", {
        version: (caller.protocol ?? "").slice(0, 16),
        own: protocolVersion,
      });
    const result = verify(caller.authorization);
    if (!result.ok) throw relayErrors.make(result.refusal);
    const { certificate } = result;
    if (options.removed.has(certificate.id)) throw relayErrors.make("node-removed");
    if (!kinds.includes(certificate.kind)) throw relayErrors.make("kind-not-allowed", { kind: certificate.kind });
    return certificate;
  };
}
