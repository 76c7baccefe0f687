/**
 * Purpose: what the reporter must remember to go on after any crash (`report.json`): its count, and the state its last
 * report resulted in.
 * Invariant: a number is written here, durably, before any envelope carries it; so no (epoch, seq) is ever used twice. A
 * journal that is damaged is told apart from one that never was.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256Hex } from "@daicho/protocol";
import { writeFileAtomic } from "@daicho/uplink";

/** The state a delta starts from: the titles themselves, of the rest the digests. */
export interface Base {
  /** Packed hashes, base64. */
  readonly titles: string;
  readonly details: string;
  readonly probes: string;
  readonly machine: string;
  /** Digest of the whole state. */
  readonly digest: string;
}

/** `ask`: with the texts of those titles that the server does not know. `all-texts`: with all. */
export type FullDue = "ask" | "all-texts";

export interface Journal {
  readonly device: string;
  readonly epoch: number;
  /** Highest number used, or claimed before a crash. */
  readonly seq: number;
  /** Number of the last full report in this epoch; 0 = none. */
  readonly fullSeq: number;
  readonly base?: Base;
  /** False from before a report is spooled until it is: after a crash in between nobody knows whether it was. */
  readonly certain: boolean;
  readonly fullDue?: FullDue;
}

export interface JournalStore {
  load(): Promise<Journal | "damaged" | undefined>;
  /** Resolves when durable. */
  save(journal: Journal): Promise<void>;
}

export function journalFile(dir: string): JournalStore {
  const file = join(dir, "report.json");
  return {
    async load() {
      let text: string;
      try {
        text = await readFile(file, "utf8");
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : "damaged";
      }
      return decodeJournal(text) ?? "damaged";
    },
    async save(journal) {
      await writeFileAtomic(file, encodeJournal(journal));
    },
  };
}

export function encodeJournal(journal: Journal): string {
  const text = JSON.stringify(journal);
  return `${sha256Hex(text)}\n${text}`;
}

export function decodeJournal(encoded: string): Journal | undefined {
  const at = encoded.indexOf("\n");
  const text = encoded.slice(at + 1);
  if (at !== 64 || encoded.slice(0, at) !== sha256Hex(text)) return undefined;
  // Whoever wrote the digest wrote the rest: the shape needs no second look.
  return JSON.parse(text) as Journal;
}
