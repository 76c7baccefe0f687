import { silentLog, systemClock } from "@daicho/kernel";
import {
  enrollProofText,
  generateKeyPair,
  importPublicKey,
  validateEnrollRequest,
  verifySignature,
} from "@daicho/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { enroll } from "./enroll.ts";
import { company, deadAddress, json, nodeAbove, problem, tempDir, type NodeAbove } from "./fixtures/node-above.ts";
import { openIdentity } from "./identity.ts";

const acme = company();
const open: NodeAbove[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function server(change: (answer: Record<string, unknown>) => unknown = (x) => x): Promise<NodeAbove> {
  const node = await nodeAbove(({ body }) => {
    const request = validateEnrollRequest(JSON.parse(body.toString("utf8")));
    if (!request.ok) return problem(400, "invalid");
    const key = importPublicKey(request.value.publicKey);
    const proof = Buffer.from(request.value.proof, "base64url");
    if (key === undefined || !verifySignature(key, enrollProofText(request.value), proof))
      return problem(403, "proof-invalid");
    const certificate = acme.certify(request.value);
    return json(200, change({ id: "x", certificate, root: acme.root, time: new Date(Date.now() + 5e9).toISOString() }));
  });
  open.push(node);
  return node;
}

async function attempt(upstreams: readonly string[], token = acme.token) {
  const identity = await openIdentity({ dir: tempDir() });
  const made = enroll({
    upstreams,
    token,
    kind: "agent",
    name: "pc01",
    evidence: { serial: "C02XY" },
    identity,
    clock: systemClock,
    log: silentLog,
    connectTimeoutMs: 2_000,
  });
  const error = await made.then(
    () => undefined,
    (e: unknown) => e as Error & { code: string; retryable: boolean },
  );
  return { identity, made, error };
}

describe("enrollment", () => {
  it("pins the root that the token names and learns the right time", async () => {
    const { identity, made } = await attempt([(await server()).url]);
    expect((await made).clockOffset).toBeGreaterThan(4.9e9);
    expect(identity.enrollment?.root).toEqual(acme.root);
  });

  it("refuses a root with another fingerprint: a relay in between cannot put its own in place", async () => {
    const { error, identity } = await attempt([(await server(() => json200(company("acme")))).url]);
    expect(error?.code).toBe("root-mismatch");
    expect(identity.enrollment).toBeUndefined();
    function json200(evil: ReturnType<typeof company>): unknown {
      return { id: "x", certificate: acme.certify(identityRequest), root: evil.root, time: "2026-11-01T00:00:00Z" };
    }
  });

  it("refuses a root that brings a second key along", async () => {
    const second = company("evil").root.keys[0];
    const node = await server((answer) => ({
      ...answer,
      root: { company: "acme", keys: [...acme.root.keys, second] },
    }));
    expect((await attempt([node.url])).error?.code).toBe("root-mismatch");
  });

  it("refuses a certificate for another key, of another kind, or not signed by the root", async () => {
    const changes: ((answer: Record<string, unknown>) => unknown)[] = [
      (answer) => ({ ...answer, certificate: acme.certify(identityRequest) }),
      (answer) => ({
        ...answer,
        certificate: acme.certify({ ...payloadOf(answer["certificate"]), kind: "relay" }),
      }),
      (answer) => ({ ...answer, certificate: company("evil").certify(payloadOf(answer["certificate"])) }),
    ];
    for (const change of changes) {
      const { error, identity } = await attempt([(await server(change)).url]);
      expect(error?.code).toBe("certificate-mismatch");
      expect(identity.enrollment).toBeUndefined();
    }
  });

  it("names the refusal, and neither message nor details hold the token", async () => {
    const node = await nodeAbove(() => problem(403, "token-used-up"));
    open.push(node);
    const { error } = await attempt([node.url]);
    expect(error?.code).toBe("enrollment-refused");
    expect(error?.message).toContain("token-used-up");
    expect(JSON.stringify(error) + String(error?.message)).not.toContain("ssss");
  });

  it("goes to the next upstream when the first is not there", async () => {
    const { error } = await attempt([await deadAddress(), (await server()).url]);
    expect(error).toBeUndefined();
  });

  it("can be tried again when nobody answers, or when the node above is busy", async () => {
    const busy = await nodeAbove(() => problem(503, "busy", {}, { "retry-after": "7" }));
    const nonsense = await nodeAbove(() => ({ status: 200, body: "<html>" }));
    open.push(busy, nonsense);
    const unreachable = await attempt([await deadAddress()]);
    expect(unreachable.error).toMatchObject({ code: "upstream-unreachable", retryable: true });
    const later = await attempt([busy.url]);
    expect(later.error).toMatchObject({ code: "upstream-busy", retryable: true });
    expect((later.error as { retryAfter?: number } | undefined)?.retryAfter).toBeGreaterThanOrEqual(7);
    expect((await attempt([nonsense.url])).error).toMatchObject({ code: "enrollment-answer-invalid", retryable: true });
  });

  it("refuses a token that is none before anything is sent", async () => {
    const node = await server();
    expect((await attempt([node.url], "hello")).error?.code).toBe("token-malformed");
    expect(node.received).toHaveLength(0);
  });
});

const identityRequest = { publicKey: generateKeyPair().publicKey, kind: "agent" as const, name: "other" };

function payloadOf(certificate: unknown): typeof identityRequest {
  return JSON.parse((certificate as { payload: string }).payload) as typeof identityRequest;
}
