import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualClock, silentLog } from "@daicho/kernel";
import type { Problem } from "@daicho/protocol";
import { openSpool } from "@daicho/spool";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createMetrics } from "../metrics.ts";
import { createBandwidth } from "./bandwidth.ts";
import { createForwarder } from "./forwarder.ts";
import { openSetAside } from "./set-aside.ts";

let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "daicho-aside-"))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const refusal: Problem = { type: "about:blank", title: "too large", status: 413, code: "too-large" };
/** A node above that refuses every request in which one of `poison` is. */
function above(poison: Set<string>) {
  const taken: string[] = [];
  const sendReports = (envelopes: readonly Uint8Array[]) => {
    const names = envelopes.map((e) => Buffer.from(e).toString());
    if (names.some((name) => poison.has(name))) return Promise.resolve({ kind: "refused" as const, problem: refusal });
    taken.push(...names);
    const results = names.map(() => ({ status: "stored" as const }));
    return Promise.resolve({ kind: "ok" as const, value: { results, dictionary: 1, time: "" } });
  };
  return { taken, sendReports };
}

async function relay(poison: Set<string>, names: readonly string[], limit = 10) {
  const clock = manualClock(0);
  const spool = await openSpool({ dir: join(dir, "spool"), maxBytes: 1_000_000, log: silentLog, clock });
  const node = above(poison);
  const aside = () =>
    openSetAside({
      dir: join(dir, "aside"),
      limit,
      clock,
      log: silentLog,
      offer: async (data) => (await node.sendReports([data])).kind === "ok",
    });
  const setAside = await aside();
  for (const name of names) await spool.append([Buffer.from(name)]);
  const forwarder = createForwarder({
    spool,
    uplink: node,
    bandwidth: createBandwidth({ bytesPerSecond: undefined, clock }),
    clock,
    log: silentLog,
    forwarded: createMetrics().counter("c", ""),
    onVerdict: () => undefined,
    onDictionary: () => undefined,
    onNextContact: () => undefined,
    setAside: setAside.keep,
  });
  /** Time goes on until it is so. */
  const passUntil = async (what: () => boolean): Promise<void> => {
    for (const end = Date.now() + 30_000; !what(); clock.advance(5_000)) {
      if (Date.now() > end) throw new Error(`waited in vain for: ${what.toString()}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const stop = async (): Promise<void> => {
    await forwarder.stop();
    await setAside.stop();
    await spool.close();
  };
  return { node, forwarder, setAside, aside, passUntil, stop };
}

test("an envelope refused again and again though alone no longer holds up the others, and is not lost", async () => {
  const poison = new Set(["c"]);
  const it = await relay(poison, ["a", "b", "c", "d", "e"]);
  await it.passUntil(() => it.node.taken.length === 4);
  expect(it.node.taken).toEqual(["a", "b", "d", "e"]);
  expect(it.setAside.count).toBe(1);
  expect(it.forwarder.refusal).toBeUndefined();
  // The node above was upgraded: the next round takes it.
  poison.clear();
  await it.passUntil(() => it.setAside.count === 0);
  expect(it.node.taken).toEqual(["a", "b", "d", "e", "c"]);
  await it.stop();
});

test("what lies aside is found again after a restart, and offered at once", async () => {
  const poison = new Set(["c"]);
  const it = await relay(poison, ["c"]);
  await it.passUntil(() => it.setAside.count === 1);
  await it.setAside.stop();
  const again = await it.aside();
  expect(again.count).toBe(1);
  poison.clear();
  await it.passUntil(() => again.count === 0);
  expect(it.node.taken).toEqual(["c"]);
  await again.stop();
  await it.stop();
});

test("without room it stays at the head, visibly, and nothing is dropped", async () => {
  const it = await relay(new Set(["a", "b"]), ["a", "b", "c"], 1);
  await it.passUntil(() => it.setAside.count === 1 && it.forwarder.refusal !== undefined);
  expect(it.node.taken).toEqual([]);
  expect(it.forwarder.refusal).toMatchObject({ code: "too-large" });
  await it.stop();
});
