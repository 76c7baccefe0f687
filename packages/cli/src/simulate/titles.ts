/**
 * Purpose: which titles the server is known to have the text of, as a relay remembers it for the agents below: what was answered
 * once is not asked again. One bit's worth per title of the fleet.
 */
import type { Fleet } from "./fleet.ts";
import type { WireAnswer } from "./wire.ts";

export interface KnownTitles {
  /** Of these ranks, those the server is not known to have. */
  unknownOf(ranks: Uint32Array): number[];
  learn(ranks: Iterable<number>): void;
  /** Asks the server for those of the ranks that nobody has asked for yet. */
  ask(ranks: Iterable<number>, post: (hashes: Buffer) => Promise<WireAnswer | undefined>): Promise<void>;
  /** The server turned out not to know one: nothing is certain any more. */
  forget(): void;
}

export function createKnownTitles(fleet: Fleet, perQuestion: number): KnownTitles {
  const known = new Uint8Array(fleet.distinct);
  const learn = (ranks: Iterable<number>): void => {
    for (const rank of ranks) known[rank] = 1;
  };
  return {
    unknownOf(ranks) {
      const unknown: number[] = [];
      for (let i = 0; i < ranks.length; i++) {
        const rank = ranks[i] ?? 0;
        if (known[rank] === 0) unknown.push(rank);
      }
      return unknown;
    },
    learn,
    async ask(ranks, post) {
      const open = [...new Set(ranks)].filter((rank) => known[rank] === 0).sort((a, b) => a - b);
      for (let at = 0; at < open.length; at += perQuestion) {
        const asked = open.slice(at, at + perQuestion);
        const answer = await post(fleet.pack(Uint32Array.from(asked)));
        if (answer?.status !== 200) continue;
        const missing = new Set(fleet.ranksOf(answer.body));
        learn(asked.filter((rank) => !missing.has(rank)));
      }
    },
    forget: () => void known.fill(0),
  };
}
