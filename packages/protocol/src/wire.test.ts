import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  applyTitles,
  changedSum,
  createCredential,
  createCredentialVerifier,
  createSigner,
  diffTitles,
  generateKeyPair,
  hashTitle,
  importPublicKey,
  isPackedHashes,
  issueCertificate,
  openEnvelope,
  packBatch,
  packHashes,
  packState,
  rootOf,
  sealEnvelope,
  signDocument,
  stateDigest,
  titlesSum,
  titleText,
  unpackBatch,
  unpackDetails,
  unpackSections,
  verifyDocument,
  verifyEnvelope,
} from "./index.ts";

const title = fc.record(
  {
    name: fc.string({ minLength: 1, maxLength: 20 }),
    version: fc.string({ maxLength: 8 }),
    source: fc.constantFrom("dpkg", "registry"),
    publisher: fc.string({ maxLength: 8 }),
    installedAt: fc.constantFrom("2026-01-02", "2026-01-02T03:04:05Z"),
    size: fc.nat(),
    path: fc.string({ maxLength: 10 }),
  },
  { requiredKeys: ["name", "version", "source"] },
);
const machine = { hostname: "pc01", probesVersion: 0 };

describe("device state", () => {
  it("does not depend on the order in which titles were found", () => {
    fc.assert(
      fc.property(fc.array(title, { maxLength: 40 }), (titles) => {
        const there = stateDigest(packState(titles, [], machine).state);
        const back = stateDigest(packState([...titles].reverse(), [], machine).state);
        expect(back).toBe(there);
      }),
    );
  });

  it("keeps every copy of every title with its facts", () => {
    fc.assert(
      fc.property(fc.array(title, { maxLength: 40 }), (titles) => {
        const { state, texts } = packState(titles, [], machine);
        const details = unpackDetails(state.details, state.titles.length / 8);
        expect(isPackedHashes(state.titles)).toBe(true);
        expect(details.reduce((sum, copies) => sum + copies.length, 0)).toBe(titles.length);
        expect(texts.size).toBe(details.length);
      }),
    );
  });

  it("a delta applied to its base gives the new titles, and to anything else is refused", () => {
    const hashes = fc
      .uniqueArray(fc.nat(200), { maxLength: 60 })
      .map((ns) => packHashes(ns.map((n) => hashTitle(titleText({ source: "dpkg", name: `t${n}`, version: "1" })))));
    fc.assert(
      fc.property(hashes, hashes, (from, to) => {
        const { added, removed } = diffTitles(from, to);
        expect(applyTitles(from, added, removed)?.equals(to)).toBe(true);
        expect(changedSum(titlesSum(from), added, removed).equals(titlesSum(to))).toBe(true);
        if (added.length > 0) expect(applyTitles(to, added, Buffer.alloc(0))).toBeUndefined();
        if (removed.length > 0) expect(applyTitles(to, Buffer.alloc(0), removed)).toBeUndefined();
      }),
    );
  });
});

describe("report envelope", () => {
  const pair = generateKeyPair();
  const signer = createSigner(pair);
  const key = importPublicKey(pair.publicKey);
  const { state } = packState([{ name: "a", version: "1", source: "dpkg" }], [], machine);
  const sealed = sealEnvelope(
    {
      device: signer.keyId,
      epoch: 1,
      seq: 1,
      kind: "full",
      state: stateDigest(state),
      dictionary: 0,
      at: "2026-01-01T00:00:00Z",
    },
    { titles: state.titles, details: state.details },
    signer,
  );

  it("opens and verifies as sealed", () => {
    const opened = openEnvelope(sealed);
    if (!opened.ok || key === undefined) throw new Error("did not open");
    expect(verifyEnvelope(opened.envelope, key)).toBe(true);
    expect(unpackSections(opened.envelope.body)?.titles?.equals(state.titles)).toBe(true);
  });

  it("is refused when any bit is changed on the way", () => {
    fc.assert(
      fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
        const altered = Buffer.from(sealed);
        altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        const opened = openEnvelope(altered);
        expect(opened.ok && key !== undefined && verifyEnvelope(opened.envelope, key)).toBe(false);
      }),
    );
  });

  it("garbage never opens and never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(openEnvelope(Buffer.from(bytes)).ok).toBe(false);
        unpackBatch(Buffer.from(bytes));
        unpackSections(Buffer.from(bytes));
      }),
    );
  });

  it("a batch gives back its envelopes in order", () => {
    expect(unpackBatch(packBatch([sealed, sealed]))?.map((e) => e.equals(sealed))).toEqual([true, true]);
  });
});

describe("signed documents and credentials", () => {
  const root = createSigner(generateKeyPair());
  const trust = rootOf("acme", root);
  const node = createSigner(generateKeyPair());
  const certificate = issueCertificate(
    {
      daicho: "certificate/v1",
      id: node.keyId,
      kind: "agent",
      name: "pc01",
      publicKey: node.publicKey,
      company: "acme",
      issuedAt: "2026-01-01T00:00:00Z",
    },
    root,
  );

  it("names why a document is refused: altered, another type, another root", () => {
    const signed = signDocument("dictionary/v1", '{"version":1}', root);
    expect(verifyDocument(signed, "dictionary/v1", trust)).toEqual({ ok: true, payload: { version: 1 } });
    const refusal = (
      document: unknown,
      type: "dictionary/v1" | "certificate/v1" = "dictionary/v1",
      by = trust,
    ): unknown => {
      const result = verifyDocument(document, type, by);
      return result.ok ? undefined : result.refusal;
    };
    expect(refusal({ ...signed, payload: '{"version":2}' })).toBe("document-altered");
    expect(refusal({ ...signed, type: "certificate/v1" }, "certificate/v1")).toBe("document-altered");
    expect(refusal(signed, "certificate/v1")).toBe("document-wrong-type");
    expect(refusal(signed, "dictionary/v1", rootOf("other", node))).toBe("document-unknown-key");
    expect(refusal("x")).toBe("document-malformed");
  });

  it("a credential proves the certificate's key, for a while, to those who trust the root", () => {
    let now = 1_000_000_000;
    const verify = createCredentialVerifier({ root: () => trust, now: () => now });
    const credential = createCredential(certificate, node, now);
    expect(verify(credential)).toMatchObject({ ok: true, certificate: { id: node.keyId, kind: "agent" } });
    now += 11 * 60_000;
    expect(verify(credential)).toEqual({ ok: false, refusal: "clock-skew" });
    expect(verify(undefined)).toEqual({ ok: false, refusal: "credential-missing" });
    expect(verify(createCredential(certificate, root, now))).toEqual({ ok: false, refusal: "credential-invalid" });
    const stranger = createCredentialVerifier({ root: () => rootOf("other", node), now: () => now });
    expect(stranger(createCredential(certificate, node, now))).toEqual({
      ok: false,
      refusal: "credential-unknown-root",
    });
  });
});
