/**
 * Purpose: reaches the nodes below on whatever server of this database they are connected to.
 * Invariants: as for the channel (channel.ts): what goes down only hastens what a heartbeat or a conditional fetch finds anyway.
 */
import type { NodeKind } from "@daicho/protocol";
import type { Servers } from "../../db/servers.ts";
import type { ChannelHub } from "./channel.ts";

export interface Reach {
  /** Tells nodes of these kinds that there is something new for them. */
  announce(kinds: readonly NodeKind[]): void;
  /** These devices (ids of their identities), or all, should scan now. Answers how many connections it went to. */
  scanNow(identities?: readonly string[]): Promise<number>;
  /** Words for all devices below. Answers how many connections it went to. */
  message(text: string): Promise<number>;
  /** Which of the nodes are connected, and how many agents are known to be, here or at relays below. */
  connected(nodes: readonly string[]): Promise<{ readonly nodes: ReadonlySet<string>; readonly agents: number }>;
}

/** Ids that fit into one question. */
const idsAtOnce = 80;

export function createReach(deps: {
  readonly channel: ChannelHub;
  readonly servers: Pick<Servers, "tell" | "hear" | "ask" | "answer">;
}): Reach & { stop(): void } {
  const { channel, servers } = deps;
  servers.answer("scan-now", ({ identities }) => channel.scanNow(identities));
  servers.answer("message", ({ text }) => channel.message(text));
  servers.answer("connected", ({ nodes }) => ({
    nodes: nodes.filter(channel.isConnected),
    agents: channel.presence(),
  }));
  const off = [
    servers.hear("push", ({ kinds }) => channel.policyChanged(kinds)),
    servers.hear("missed", () => channel.policyChanged(["server", "relay", "agent"])),
  ];

  return {
    announce(kinds) {
      channel.policyChanged(kinds);
      servers.tell("push", { kinds });
    },
    async scanNow(identities) {
      const questions = identities === undefined ? [{}] : parts(identities).map((some) => ({ identities: some }));
      const answers = await Promise.all(questions.map((question) => servers.ask("scan-now", question)));
      return answers.flat().reduce((sum, n) => sum + n, 0);
    },
    async message(text) {
      return (await servers.ask("message", { text })).reduce((sum, n) => sum + n, 0);
    },
    async connected(nodes) {
      const answers = await Promise.all(parts(nodes, true).map((some) => servers.ask("connected", { nodes: some })));
      return {
        nodes: new Set(answers.flat().flatMap((answer) => answer.nodes)),
        agents: (answers[0] ?? []).reduce((sum, answer) => sum + answer.agents, 0),
      };
    },
    stop() {
      for (const end of off) end();
    },
  };
}

function parts(ids: readonly string[], atLeastOne = false): (readonly string[])[] {
  const out: (readonly string[])[] = atLeastOne && ids.length === 0 ? [[]] : [];
  for (let at = 0; at < ids.length; at += idsAtOnce) out.push(ids.slice(at, at + idsAtOnce));
  return out;
}
