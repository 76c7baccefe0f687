import { manualClock, silentLog } from "@daicho/kernel";
import type { Certificate, NodeStatus } from "@daicho/protocol";
import { expect, test } from "vitest";
import { createCompany } from "../fixtures/company.ts";
import { createStatusBoard, type StatusBoard } from "./board.ts";

const company = createCompany();
const certificate = (kind: "agent" | "relay", name: string): Certificate =>
  JSON.parse(company.node(kind, name).certificate.payload) as Certificate;
const me = certificate("relay", "me");

function status(of: Pick<Certificate, "id" | "kind" | "name">, more: Partial<NodeStatus> = {}): NodeStatus {
  const { id, kind, name } = of;
  return {
    id,
    kind,
    name,
    company: "acme",
    dictionary: 1,
    state: "complete",
    at: "2026-11-21T00:00:00Z",
    ...more,
  };
}

interface Setup {
  readonly board: StatusBoard;
  readonly said: NodeStatus[][];
  /** Moves time on and lets what was started settle. */
  pass(ms: number): Promise<void>;
  away: boolean;
  removed: readonly string[] | undefined;
  /** What was handed on of `removed`. */
  readonly heard: (readonly string[])[];
}

function setup(): Setup {
  const clock = manualClock(1_000_000_000);
  const said: NodeStatus[][] = [];
  const uplink = {
    postStatus(nodes: readonly NodeStatus[]) {
      if (made.away) return Promise.resolve({ kind: "retry" as const, code: "ECONNREFUSED", after: 1000 });
      said.push([...nodes]);
      return Promise.resolve({ kind: "ok" as const, value: { removed: made.removed } });
    },
  };
  const board = createStatusBoard({
    own: () => status(me),
    uplink,
    clock,
    log: silentLog,
    onRemoved: (ids) => void made.heard.push(ids),
  });
  const made: Setup = {
    board,
    said,
    away: false,
    removed: undefined,
    heard: [],
    async pass(ms) {
      clock.advance(ms);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
  return made;
}

const names = (report: readonly NodeStatus[] | undefined): string[] => (report ?? []).map((node) => node.name);

test("a change goes up within a second, the relay itself first; what has not changed goes up no more", async () => {
  const { board, said, pass } = setup();
  const below = certificate("relay", "below");
  board.take(below, [status(below)]);
  await pass(1000);
  expect(names(said[0])).toEqual(["me", "below"]);
  expect(said[0]?.[1]?.parent).toBe(me.id);
  await pass(60_000);
  expect(names(said[1])).toEqual(["me"]);
  // Only its time and counts are new: that can wait for the minute.
  board.take(below, [status(below, { connected: 7 })]);
  await pass(1000);
  expect(said).toHaveLength(2);
  await pass(60_000);
  expect(said[2]?.[1]).toMatchObject({ name: "below", connected: 7 });
});

test("nobody else speaks for the relay, and what a node says of itself outranks what others say of it", async () => {
  const { board, said, pass } = setup();
  const [a, liar] = [certificate("relay", "a"), certificate("relay", "liar")];
  board.take(a, [status(a)]);
  board.take(liar, [
    status(liar),
    status(me, { name: "evil", dictionary: 9 }),
    status(a, { name: "evil", dictionary: 9 }),
  ]);
  // Nor does it choose its own name: the certificate says it.
  board.take(liar, [status(liar, { name: "evil" })]);
  await pass(1000);
  expect(names(said.flat())).toEqual(["me", "a", "liar"]);
});

test("what could not be said is said later; a node above that is new, or back, is told everything again", async () => {
  const made = setup();
  const below = certificate("relay", "below");
  made.away = true;
  made.board.take(below, [status(below)]);
  await made.pass(1000);
  expect(made.said).toEqual([]);
  made.away = false;
  await made.pass(60_000);
  expect(names(made.said[0])).toEqual(["me", "below"]);
  made.board.sayAgain();
  await made.pass(1000);
  expect(names(made.said[1])).toEqual(["me", "below"]);
});

test("an agent appears while something failed; its recovery is passed on once and then forgotten", async () => {
  const { board, said, pass } = setup();
  const agent = certificate("agent", "pc-1");
  board.take(agent, [status(agent, { state: "failed", reason: { code: "document-altered", message: "x" } })]);
  await pass(1000);
  expect(board.size).toBe(1);
  board.take(agent, [status(agent)]);
  await pass(1000);
  expect(said.at(-1)?.[1]).toMatchObject({ name: "pc-1", state: "complete" });
  expect(board.size).toBe(0);
});

test("whom the node above has removed is handed on, where it says so", async () => {
  const setUp = setup();
  await setUp.pass(60_000);
  expect(setUp.heard).toEqual([]);
  setUp.removed = ["a"];
  await setUp.pass(60_000);
  expect(setUp.heard).toEqual([["a"]]);
});
