import { hashTitle, openEnvelope, titleText, unpackSection, unpackSections, type TitleText } from "@daicho/protocol";
import { describe, expect, it } from "vitest";
import { createWorld, factsOf, type World } from "./fixtures/world.ts";

const start = Date.UTC(2026, 10, 1);
const title = (name: string, version = "1") => ({ name, version, source: "dpkg" });
const facts = (...names: string[]) =>
  factsOf(
    names.map((name) => title(name)),
    [],
    1,
    start,
  );

const waiting = (world: World) => open(world.disk.records.map(({ data }) => data));

function open(envelopes: readonly Buffer[]) {
  return envelopes.map((bytes) => {
    const opened = openEnvelope(bytes);
    if (!opened.ok) throw new Error(opened.refusal);
    const sections = unpackSections(opened.envelope.body) ?? {};
    const texts = sections.texts === undefined ? [] : (unpackSection(sections.texts) as TitleText[]);
    return { ...opened.envelope.header, sections, names: texts.map((text) => text[1]).sort() };
  });
}

describe('what is reported (design.md "Delivery")', () => {
  it("first everything, then what changed, then only the digest", async () => {
    const world = await createWorld();
    await world.scan(facts("a", "b"));
    await world.scan(facts("b", "c"));
    await world.scan(facts("b", "c"));
    const [full, delta, heartbeat] = waiting(world);
    expect([full?.kind, delta?.kind, heartbeat?.kind]).toEqual(["full", "delta", "heartbeat"]);
    expect(delta?.base).toBe(full?.state);
    expect(heartbeat?.state).toBe(delta?.state);
    expect(delta?.sections.titlesAdded).toEqual(hashTitle(titleText(title("c"))));
    expect(delta?.sections.titlesRemoved).toEqual(hashTitle(titleText(title("a"))));
    expect(heartbeat?.sections).toEqual({});
    expect([full?.seq, delta?.seq, heartbeat?.seq]).toEqual([1, 2, 3]);
    expect(full?.evidence).toMatch(/^[0-9a-f]{32}$/);
  });

  it("a delta leaves out what did not change", async () => {
    const world = await createWorld();
    await world.scan(facts("a"));
    await world.scan(factsOf([title("a")], [], 2, start));
    expect(Object.keys(waiting(world)[1]?.sections ?? {})).toEqual(["machine", "scan"]);
  });

  it("the texts of added titles always travel with a delta; a full sends those the server does not know", async () => {
    const world = await createWorld();
    world.server.texts.set(hashTitle(titleText(title("a"))).toString("hex"), titleText(title("a")));
    await world.scan(facts("a", "b"));
    await world.scan(facts("a", "b", "c"));
    expect(waiting(world).map((report) => report.names)).toEqual([["b"], ["c"]]);
  });

  it("a full sends all texts where the server cannot be asked, or said that it lacks some", async () => {
    for (const [code, canAsk, expected] of [
      [undefined, true, []],
      [undefined, false, ["a", "b"]],
      ["titles-unknown", true, ["a", "b"]],
    ] as const) {
      const world = await createWorld();
      await world.scan(facts("a", "b"));
      await world.drain("ok", true);
      await world.heartbeat();
      const { accept } = world.server;
      const sent: { kind: string; names: string[] }[] = [];
      world.server.accept = (bytes) => {
        sent.push(...open([bytes]));
        return sent.length > 1 ? accept(bytes) : { status: "need-full", ...(code !== undefined && { code }) };
      };
      await world.drain("ok", canAsk);
      expect(sent).toMatchObject([{ kind: "heartbeat" }, { kind: "full", names: expected }]);
    }
  });

  it("a heartbeat that is rejected, whatever the code, is followed by a full that heals it", async () => {
    for (const code of [
      "report-malformed",
      "signature-invalid",
      "envelope-malformed",
      "a-code-of-a-newer-server",
      undefined,
    ]) {
      const world = await createWorld();
      await world.scan(facts("a", "b"));
      await world.drain("ok", true);
      await world.heartbeat();
      const { accept } = world.server;
      const kinds: string[] = [];
      world.server.accept = (bytes) => {
        kinds.push(...open([bytes]).map((report) => report.kind));
        return kinds.length > 1 ? accept(bytes) : { status: "rejected", ...(code !== undefined && { code }) };
      };
      await world.drain("ok", true);
      expect(kinds).toEqual(["heartbeat", "full"]);
    }
  });

  it("no heartbeat is added while something waits that says as much", async () => {
    const world = await createWorld();
    await world.scan(facts("a"));
    await world.heartbeat();
    expect(waiting(world).map((report) => report.kind)).toEqual(["full"]);
    await world.drain("ok", true);
    await world.heartbeat();
    expect(waiting(world).map((report) => report.kind)).toEqual(["heartbeat"]);
  });

  it("need-full is answered by one full in place of everything that waits", async () => {
    const world = await createWorld();
    await world.scan(facts("a"));
    await world.drain("ok", true);
    world.server.held = undefined;
    for (const name of ["b", "c", "d"]) await world.scan(facts(name));
    await world.drain("ok", true);
    expect(world.server.held).toMatchObject({ seq: 5 });
    expect(waiting(world)).toEqual([]);
  });

  it("a server that refuses every full is asked slower and slower, not in a circle", async () => {
    const world = await createWorld();
    let calls = 0;
    world.server.accept = () => (calls++, { status: "need-full" });
    await world.scan(facts("a"));
    const before = world.clock.now();
    await world.drain("ok", true);
    expect(calls).toBe(20);
    expect(world.clock.now() - before).toBeGreaterThan(10 * 3_600_000);
  });
});

describe("a spool without room", () => {
  it("takes one full report in place of all that wait, and the server ends with the last facts", async () => {
    const world = await createWorld();
    world.room = 3;
    for (const name of ["a", "b", "c"]) await world.scan(facts(name));
    expect(waiting(world).map((report) => report.kind)).toEqual(["full", "delta", "delta"]);
    await world.scan(facts("d"));
    expect(waiting(world).map((report) => report.kind)).toEqual(["full"]);
    await world.drain("ok", true);
    expect(world.server.held?.state.titles).toEqual(world.expected().state.titles);
  });

  it("on a disk that takes nothing at all loses nothing either: a full is due", async () => {
    const world = await createWorld();
    await world.scan(facts("a"));
    await world.drain("ok", true);
    world.room = 0;
    await expect(world.scan(facts("b"))).rejects.toMatchObject({ code: "spool-full" });
    world.room = 10;
    await world.scan(facts("b"));
    expect(waiting(world)).toMatchObject([{ kind: "full" }]);
  });
});

describe("after a crash", () => {
  const crashAt = async (writes: number, when: "before" | "after"): Promise<World> => {
    const world = await createWorld();
    await world.scan(facts("a"));
    await world.drain("ok", true);
    world.arm(writes, when);
    await world.scan(facts("b"));
    await world.scan(facts("c"));
    return world;
  };

  it("between claiming a number and spooling its report, the number is left out and a full follows", async () => {
    const [next, ...more] = waiting(await crashAt(0, "after"));
    expect(next).toMatchObject({ kind: "full", seq: 3 });
    expect(more).toEqual([]);
  });

  it("between spooling a report and knowing it, a full follows: it fits whatever was spooled", async () => {
    const reports = waiting(await crashAt(1, "after"));
    expect(reports.map(({ kind, seq }) => ({ kind, seq }))).toEqual([
      { kind: "delta", seq: 2 },
      { kind: "full", seq: 3 },
    ]);
  });

  it("before a number is claimed, nothing happened", async () => {
    expect(waiting(await crashAt(0, "before"))).toMatchObject([{ kind: "delta", seq: 2 }]);
  });

  it("a damaged journal starts an epoch above every one that waits, with a full", async () => {
    const world = await createWorld();
    await world.scan(facts("a"));
    const [before] = waiting(world);
    world.saved()();
    world.disk.journal = "damaged";
    // The clock is a year behind by now.
    const { now } = world.clock;
    world.clock.now = () => now() - 365 * 86_400_000;
    await world.scan(facts("b"));
    const after = waiting(world).at(-1);
    expect(after).toMatchObject({ kind: "full", seq: 1 });
    expect(after?.epoch).toBeGreaterThan(before?.epoch ?? 0);
  });
});

describe("a device whose count went back", () => {
  it("starts a new epoch with a full when the server says so", async () => {
    const world = await createWorld();
    await world.scan(facts("a"));
    await world.drain("ok", true);
    const epoch = world.server.held?.epoch ?? 0;
    const { accept } = world.server;
    let first = true;
    world.server.accept = (bytes) => {
      if (!first) return accept(bytes);
      first = false;
      return { status: "rejected", code: "sequence-regress" };
    };
    await world.scan(facts("b"));
    await world.drain("ok", true);
    expect(world.server.held?.epoch).toBeGreaterThan(epoch);
    expect(world.server.held?.seq).toBe(1);
  });

  it("finds it out by itself when reports never sent before are called duplicates, twice in a row", async () => {
    const world = await createWorld();
    await world.scan(facts("a"));
    await world.drain("ok", true);
    const held = world.server.held;
    if (held !== undefined) world.server.held = { ...held, seq: 1000, at: "2099-01-01T00:00:00Z" };
    await world.scan(facts("b"));
    await world.drain("ok", true);
    expect(world.server.held).toMatchObject({ epoch: held?.epoch });
    await world.scan(facts("c"));
    await world.drain("ok", true);
    expect(world.server.held?.epoch).toBeGreaterThan(held?.epoch ?? 0);
    expect(world.server.held?.digest).not.toBe(held?.digest);
  });

  it("reaches an epoch that was made by a clock years ahead", async () => {
    const world = await createWorld();
    await world.scan(facts("a"));
    await world.drain("ok", true);
    const held = world.server.held;
    const ahead = world.clock.now() + 20 * 365 * 86_400_000;
    if (held !== undefined) world.server.held = { ...held, epoch: ahead };
    await world.scan(facts("b"));
    await world.drain("ok", true);
    expect(world.server.held?.epoch).toBeGreaterThan(ahead);
  });
});
