import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compileDictionary, compileRules, loadPolicies, buildDocuments } from "@daicho/policy";
import {
  applyTitles,
  eachHash,
  hashTitle,
  importPublicKey,
  isPackedHashes,
  openEnvelope,
  stateDigest,
  titleFromText,
  unpackDetails,
  unpackMachine,
  unpackSections,
  verifyEnvelope,
} from "@daicho/protocol";
import { createFleet } from "./fleet.ts";
import { createIdentities } from "./identities.ts";
import { createLatencies } from "./latency.ts";
import { createReports, type Outgoing } from "./reports.ts";
import { createKnownTitles } from "./titles.ts";

const titles = 700;
const fleet = createFleet({ seed: "a", titles });
const devices = Array.from({ length: 60 }, (_, i) => i * 997);

describe("the made-up fleet", () => {
  it("is the same for the same seed and another for another", () => {
    const again = createFleet({ seed: "a", titles });
    const other = createFleet({ seed: "b", titles });
    for (const device of devices.slice(0, 10)) {
      expect(again.stateOf(device, 3)).toEqual(fleet.stateOf(device, 3));
      expect(stateDigest(other.stateOf(device, 3))).not.toBe(stateDigest(fleet.stateOf(device, 3)));
    }
    expect(createIdentities("a").signer(7).publicKey).toBe(createIdentities("a").signer(7).publicKey);
    expect(createIdentities("a").signer(7).publicKey).not.toBe(createIdentities("a").signer(8).publicKey);
  });

  it("has about as many titles per device as asked for, out of some sixty thousand", () => {
    const sizes = devices.map((device) => fleet.titlesOf(device, 0).length);
    const mean = sizes.reduce((sum, n) => sum + n, 0) / sizes.length;
    expect(Math.abs(mean - titles)).toBeLessThan(titles * 0.08);
    expect(fleet.distinct).toBeGreaterThan(50_000);
    expect(fleet.distinct).toBeLessThan(90_000);
  });

  it("reports states that a server accepts: sorted distinct hashes, details that fit, a machine", () => {
    for (const device of devices)
      for (const generation of [0, 1, 9]) {
        const state = fleet.stateOf(device, generation);
        expect(isPackedHashes(state.titles)).toBe(true);
        expect(unpackDetails(state.details, state.titles.length / 8)).toHaveLength(state.titles.length / 8);
        expect(unpackMachine(state.machine).hostname).toBe(fleet.hostname(device));
      }
  });

  it("names on the wire exactly the titles whose texts it gives", () => {
    const ranks = fleet.titlesOf(5, 0);
    const packed = fleet.pack(ranks);
    expect([...eachHash(packed)].map((hash) => hash.toString("hex"))).toEqual(
      [...ranks].map((rank) => hashTitle(fleet.textOf(rank)).toString("hex")),
    );
    expect(fleet.ranksOf(packed)).toEqual([...ranks]);
  });

  it("changes five titles at a time, and a delta leads from one state to the next", () => {
    for (const device of devices)
      for (const generation of [1, 2, 30, 31]) {
        const { added, removed } = fleet.changeTo(device, generation);
        expect([added.length, removed.length]).toEqual([5, 5]);
        const before = fleet.pack(fleet.titlesOf(device, generation - 1));
        const after = applyTitles(before, fleet.pack(added), fleet.pack(removed));
        expect(after?.equals(fleet.pack(fleet.titlesOf(device, generation)))).toBe(true);
      }
  });

  it.each([1, 3, 12, 60])(
    "of %i titles per device has just about so many, and changes no more than there are",
    (asked) => {
      const small = createFleet({ seed: "a", titles: asked });
      for (const device of devices)
        for (const generation of [1, 2, 30]) {
          const [before, after] = [generation - 1, generation].map((g) => small.titlesOf(device, g));
          expect(Math.abs((before?.length ?? 0) - asked)).toBeLessThanOrEqual(asked * 0.08);
          const { added, removed } = small.changeTo(device, generation);
          expect(added).toHaveLength(Math.min(5, asked));
          const next = applyTitles(small.pack(before ?? added), small.pack(added), small.pack(removed));
          expect(next?.equals(small.pack(after ?? added))).toBe(true);
        }
    },
  );

  it("uses about twenty licences per device under the example policy", () => {
    const file = new URL("../../../../examples/enterprise.policy.yaml", import.meta.url);
    const { policies } = loadPolicies([{ file: "example", text: readFileSync(file, "utf8") }]);
    const built = buildDocuments({
      enterprise: policies ?? [],
      company: "x",
      dictionaryVersion: 1,
      generatedAt: "2026-01-01T00:00:00Z",
    });
    const recognizer = compileDictionary(built.dictionary.software);
    const matcher = compileRules(built.licensePolicy);
    const counts = devices.map((device) => {
      const found = [...fleet.titlesOf(device, 0)].map((rank) => titleFromText(fleet.textOf(rank)));
      return matcher.match(recognizer.recognizeInventory({ titles: found }).map(({ code }) => code)).licenses.length;
    });
    const mean = counts.reduce((sum, n) => sum + n, 0) / counts.length;
    expect(mean).toBeGreaterThan(15);
    expect(mean).toBeLessThan(25);
  });
});

describe("its reports", () => {
  const identities = createIdentities("a");
  const make = (): ReturnType<typeof createReports> =>
    createReports({
      fleet,
      identities,
      known: createKnownTitles(fleet, 1000),
      devices: 10,
      epoch: 1000,
      now: () => Date.UTC(2026, 0, 1),
    });
  const open = ({ envelope, device }: Outgoing): NonNullable<ReturnType<typeof parse>> => {
    const opened = parse(envelope);
    const key = importPublicKey(identities.signer(device).publicKey);
    expect(key !== undefined && verifyEnvelope(opened, key)).toBe(true);
    return opened;
  };
  const parse = (envelope: Buffer): Extract<ReturnType<typeof openEnvelope>, { ok: true }>["envelope"] => {
    const opened = openEnvelope(envelope);
    if (!opened.ok) throw new Error(opened.refusal);
    return opened.envelope;
  };

  it("are signed by the device's own key, in a sequence that rises", () => {
    const reports = make();
    const first = open(reports.full(3, "unknown"));
    const second = open(reports.heartbeat(3));
    expect(first.header.device).toBe(identities.signer(3).keyId);
    expect(second.header.seq).toBeGreaterThan(first.header.seq);
    expect([first.header.epoch, second.header.epoch]).toEqual([1000, 1000]);
  });

  it("send the texts of the titles that the server is not known to have, and no others", () => {
    const reports = make();
    const first = reports.full(3, "unknown");
    expect(first.texts).toHaveLength(fleet.titlesOf(3, 0).length);
    reports.settled(first);
    const second = reports.full(3, "unknown");
    expect(second.texts).toEqual([]);
    expect(unpackSections(open(second).body)?.texts).toBeUndefined();
  });

  it("build on each other: heartbeat and delta start from the state that was stored last", () => {
    const reports = make();
    const full = reports.full(2, "all");
    reports.settled(full);
    expect(open(reports.heartbeat(2)).header.state).toBe(open(full).header.state);
    const delta = reports.delta(2);
    expect(open(delta).header.base).toBe(open(full).header.state);
    expect(open(delta).header.state).toBe(stateDigest(fleet.stateOf(2, 1)));
    // Not answered yet: a full report in its place says what was stored last.
    expect(open(reports.full(2, "unknown")).header.state).toBe(open(full).header.state);
    reports.settled(delta);
    expect(open(reports.heartbeat(2)).header.state).toBe(open(delta).header.state);
  });

  it("go on in a higher epoch where a device's count went back", () => {
    const reports = make();
    reports.raiseEpoch(4);
    expect(open(reports.full(4, "unknown")).header.epoch).toBe(Date.UTC(2026, 0, 1));
    expect(open(reports.full(5, "unknown")).header.epoch).toBe(1000);
  });
});

describe("latencies", () => {
  it("are given as the nearest rank", () => {
    const latencies = createLatencies();
    expect(latencies.percentiles()).toEqual({ p50: 0, p95: 0, p99: 0 });
    for (let ms = 2000; ms >= 1; ms--) latencies.note(ms);
    expect(latencies.percentiles()).toEqual({ p50: 1000, p95: 1900, p99: 1980 });
  });
});
