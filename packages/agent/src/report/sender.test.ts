import { manualClock, silentLog } from "@daicho/kernel";
import { createSigner, generateKeyPair, sealEnvelope, type Problem, type ReportsResponse } from "@daicho/protocol";
import type { UplinkResult } from "@daicho/uplink";
import { describe, expect, it } from "vitest";
import type { Outbox, Outgoing } from "./outbox.ts";
import { createOutbox } from "./outbox.ts";
import type { Reporter } from "./reporter.ts";
import { createSender } from "./sender.ts";

const signer = createSigner(generateKeyPair());
const envelope = (seq: number): Buffer =>
  sealEnvelope(
    {
      device: signer.keyId,
      epoch: 1,
      seq,
      kind: "heartbeat",
      state: "0".repeat(64),
      dictionary: 0,
      at: "2026-11-01T00:00:00Z",
    },
    {},
    signer,
  );

function spoolOf(records: Buffer[]): Outbox {
  let acked = 0;
  return createOutbox({
    append: async () => ({ first: 0, last: 0 }),
    read: async (_from, { maxRecords }) =>
      records
        .map((data, i) => ({ position: i + 1, at: 0, data }))
        .filter(({ position }) => position > acked)
        .slice(0, maxRecords),
    ack: async (upTo) => void (acked = Math.max(acked, upTo)),
    stats: () => ({
      records: records.length - acked,
      bytes: 0,
      oldestAt: undefined,
      last: records.length,
      acked,
      damagedPlaces: 0,
      damagedBytes: 0,
    }),
  });
}

function setting(records: Buffer[], send: (n: number) => UplinkResult<ReportsResponse>) {
  const outbox = spoolOf(records);
  const clock = manualClock(0);
  const demanded: string[] = [];
  const sizes: number[] = [];
  const reporter: Pick<Reporter, "demandFull" | "answered"> = {
    demandFull: async (texts) => void demanded.push(texts),
    answered: async () => ({ identity: "fine", fullAfterMs: undefined }),
  };
  const sender = createSender({
    outbox,
    reporter: () => reporter as Reporter,
    uplink: () => ({
      lastError: undefined,
      async sendReports(envelopes) {
        sizes.push(envelopes.length);
        return send(envelopes.length);
      },
    }),
    onAnswer: async () => undefined,
    onTrouble: () => undefined,
    clock,
    log: silentLog,
  });
  return { sender, outbox, demanded, sizes, clock };
}

const stored = (n: number): UplinkResult<ReportsResponse> => ({
  kind: "ok",
  value: { results: Array.from({ length: n }, () => ({ status: "stored" })), time: "2026-11-01T00:00:00Z" },
});
const refused = (status: number, code: string): UplinkResult<ReportsResponse> => ({
  kind: "refused",
  problem: { type: "about:blank", title: code, status, code } satisfies Problem,
});

describe("sending", () => {
  it("a batch the node above finds too large is halved until it fits", async () => {
    const { sender, outbox, sizes } = setting([1, 2, 3, 4, 5].map(envelope), (n) =>
      n > 2 ? refused(413, "too-large") : stored(n),
    );
    while ((await sender.step()).kind !== "idle");
    expect(sizes.slice(0, 2)).toEqual([5, 2]);
    expect(outbox.pending).toBe(0);
  });

  it("one report that is refused alone is dropped, and a full is due", async () => {
    let calls = 0;
    const { sender, outbox, demanded } = setting([1, 2].map(envelope), (n) =>
      ++calls <= 2 ? refused(413, "too-large") : stored(n),
    );
    await sender.step();
    await sender.step();
    expect([outbox.pending, demanded]).toEqual([1, ["ask"]]);
  });

  it("a damaged record is dropped when its turn comes, those around it are sent", async () => {
    const { sender, outbox, sizes, demanded } = setting([envelope(1), Buffer.from("garbage"), envelope(3)], stored);
    while ((await sender.step()).kind !== "idle");
    expect([sizes, outbox.pending, demanded]).toEqual([[1, 1], 0, ["ask"]]);
  });

  it("what only an administrator can change drops nothing and is tried slowly", async () => {
    const { sender, outbox } = setting([envelope(1)], () => refused(401, "credential-unknown-root"));
    const step = await sender.step();
    expect(step).toMatchObject({ kind: "wait", code: "credential-unknown-root" });
    expect(step.kind === "wait" && step.afterMs).toBeGreaterThanOrEqual(10 * 60_000);
    expect(outbox.pending).toBe(1);
  });

  it("waits for a node that is away, however much there is to say - until it is known to be back", async () => {
    let away = true;
    const { sender, outbox } = setting([envelope(1)], (n) =>
      away ? { kind: "retry", code: "ECONNREFUSED", after: 300_000 } : stored(n),
    );
    const stop = new AbortController();
    const running = sender.run(stop.signal);
    await turn();
    away = false;
    sender.wake();
    await turn();
    expect(outbox.pending).toBe(1);
    sender.reached();
    await turn();
    expect(outbox.pending).toBe(0);
    stop.abort();
    await running;
  });

  it("ends at once when it is stopped while it waits", async () => {
    const { sender } = setting([envelope(1)], () => ({ kind: "retry", code: "ECONNREFUSED", after: 300_000 }));
    const stop = new AbortController();
    const running = sender.run(stop.signal);
    await turn();
    stop.abort();
    await running;
  });

  it("runs until it is stopped, wakes for work, and survives a disk that fails", async () => {
    const records = [envelope(1)];
    const { sender, outbox, clock } = setting(records, stored);
    let fails = 1;
    const { read } = outbox;
    const flaky = outbox as { read: (maxRecords: number, maxBytes: number) => Promise<readonly Outgoing[]> };
    flaky.read = (maxRecords, maxBytes) =>
      fails-- > 0 ? Promise.reject(new Error("disk")) : read(maxRecords, maxBytes);
    const stop = new AbortController();
    const running = sender.run(stop.signal);
    await turn();
    expect(outbox.pending).toBe(1);
    clock.advance(60_000);
    await turn();
    expect(outbox.pending).toBe(0);
    records.push(envelope(2));
    sender.wake();
    await turn();
    expect(outbox.pending).toBe(0);
    stop.abort();
    await running;
  });
});

/** Lets everything that waits for nothing but its turn run. */
async function turn(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
