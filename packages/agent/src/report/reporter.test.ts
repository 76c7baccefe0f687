import fc from "fast-check";
import { stateDigest, unpackDetails, unpackMachine, unpackProbes } from "@daicho/protocol";
import { describe, expect, it } from "vitest";
import { createWorld, factsOf, type Network, type World } from "./fixtures/world.ts";

const titles = fc.array(
  fc
    .record({ n: fc.nat(12), version: fc.constantFrom("1", "2"), size: fc.nat(3) })
    .map(({ n, version, size }) => ({ name: `title-${n}`, version, source: "dpkg", size })),
  { maxLength: 14 },
);
const hits = fc.subarray([
  { probe: 'file(name="a")', found: { path: "/a" } },
  { probe: 'file(name="b")', found: { path: "/b" } },
]);
const network = fc.constantFrom<Network>("ok", "ok", "lost", "answer-lost", "twice", "burnt", "relayed");

type Command = (world: World, saved: { agent?: () => void; server?: () => void }) => Promise<void> | void;
const scan = fc.tuple(titles, hits, fc.nat(2)).map(
  ([software, found, memory]): Command =>
    (world) =>
      world.scan(factsOf(software, found, memory, world.clock.now())),
);
const heartbeat = fc.constant<Command>((world) => world.heartbeat());
const drain = fc.tuple(network, fc.boolean()).map(
  ([how, ask]): Command =>
    (world) =>
      world.drain(how, ask),
);
const crash = fc.tuple(fc.nat(6), fc.constantFrom("before" as const, "after" as const)).map(
  ([writes, when]): Command =>
    (world) =>
      world.arm(writes, when),
);
const late = fc.array(fc.nat(30), { maxLength: 6 }).map(
  (picks): Command =>
    (world) =>
      world.late(picks),
);
const damaged = fc.constant<Command>((world) => {
  world.saved()(); // The process ends and starts with the same disk …
  world.disk.journal = "damaged"; // … but for the journal.
});
const serverCopy = fc.boolean().map((take): Command => (world, saved) => {
  if (take) saved.server = world.savedServer();
  else saved.server?.();
});
const agentCopy = fc.boolean().map((take): Command => (world, saved) => {
  if (take) saved.agent = world.saved();
  else saved.agent?.();
});

async function play(commands: readonly Command[]): Promise<World> {
  const world = await createWorld();
  const saved = {};
  for (const command of commands) await command(world, saved);
  await world.settle();
  return world;
}

function expectSame(world: World): void {
  const expected = world.expected();
  const { held, texts } = world.server;
  expect(held && stateDigest(held.state)).toBe(stateDigest(expected.state));
  if (held === undefined) return;
  const count = held.state.titles.length / 8;
  const hashes = Array.from({ length: count }, (_, i) => held.state.titles.subarray(i * 8, i * 8 + 8).toString("hex"));
  expect(hashes.map((hash) => texts.get(hash))).toEqual([...expected.texts.values()]);
  expect(unpackDetails(held.state.details, count)).toEqual(unpackDetails(expected.state.details, count));
  expect(unpackProbes(held.state.probes)).toEqual(unpackProbes(expected.state.probes));
  expect(unpackMachine(held.state.machine)).toEqual(unpackMachine(expected.state.machine));
}

describe("reporting (design.md: lossless by construction, self-healing by digest)", () => {
  it("ends with exactly the device's facts at the server, whatever crashes, gets lost, doubled, late or burnt", async () => {
    const commands = fc.array(fc.oneof(scan, scan, heartbeat, drain, drain, crash, late, damaged, serverCopy), {
      minLength: 1,
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(scan, commands, async (first, rest) => {
        const world = await play([first, ...rest]);
        expectSame(world);
        expect(world.disk.records).toEqual([]);
        // One number never stood for two contents.
        expect(world.reused).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it("comes back even from a disk that was restored from an old copy", async () => {
    const commands = fc.array(fc.oneof(scan, heartbeat, drain, agentCopy, crash), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(scan, commands, async (first, rest) => expectSame(await play([first, ...rest]))),
      { numRuns: 200 },
    );
  });
});
