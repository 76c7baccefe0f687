/**
 * Purpose: what `daicho agent status` shows: the resident writes it (`status.json`), anyone reads it, running or not.
 */
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "@daicho/kernel";
import { openIdentity, writeFileAtomic } from "@daicho/uplink";
import { agentErrors } from "../errors.ts";

export interface AgentStatus {
  readonly device: string;
  readonly hostname: string | undefined;
  readonly enrolled: boolean;
  readonly company: string | undefined;
  /** The node above in use. */
  readonly upstream: string | undefined;
  /** Is the channel open? */
  readonly connected: boolean;
  /** Dictionary version held; 0 = none. */
  readonly dictionary: number;
  /** The nodes above were told that the dictionary served is refused, and not yet that this is over. */
  readonly dictionaryFailed: boolean;
  readonly titles: number | undefined;
  readonly lastScanAt: string | undefined;
  readonly nextScanAt: string | undefined;
  /** When it next says something, at the latest. */
  readonly nextContactAt: string | undefined;
  /** When the node above last took a report. */
  readonly lastStoredAt: string | undefined;
  readonly spool: { readonly records: number; readonly bytes: number; readonly oldestAt: string | undefined };
  /** Code of what last went wrong and has not gone right since. */
  readonly lastError: { readonly code: string; readonly at: string } | undefined;
  readonly identityReplacedAt: string | undefined;
  /** What the company said to those who use this machine, the newest last; absent = nothing yet. */
  readonly messages?: readonly Message[];
  readonly pid: number;
  readonly running: boolean;
  readonly at: string;
}

export interface Message {
  readonly text: string;
  readonly at: string;
}

const file = (dir: string): string => join(dir, "status.json");

export interface StatusWriter {
  /** Writes what is current; many changes at once are one write. */
  changed(): void;
  settled(): Promise<void>;
}

export function createStatusWriter(options: {
  readonly dir: string;
  readonly current: () => AgentStatus | undefined;
  readonly log: Log;
}): StatusWriter {
  let writing: Promise<void> | undefined;
  let again = false;

  async function write(): Promise<void> {
    await Promise.resolve();
    while (again) {
      again = false;
      const status = options.current();
      if (status === undefined) continue;
      const text = `${JSON.stringify(status, undefined, 2)}\n`;
      await writeFileAtomic(file(options.dir), text, { mode: 0o640 }).catch((error: unknown) =>
        options.log.warn("status-not-written", { code: (error as { code?: string }).code ?? "unknown" }),
      );
    }
    // In the same turn as the last look at `again`: a change from now on starts the next write.
    writing = undefined;
  }

  return {
    changed() {
      again = true;
      writing ??= write();
    },
    async settled() {
      await writing;
    },
  };
}

/** @throws agent-data-missing */
export async function agentStatus(dir: string): Promise<AgentStatus> {
  const status = (await readStatus(dir)) ?? (await neverRun(dir));
  if (status === undefined) throw agentErrors.make("agent-data-missing", { dir });
  // Left by a process that was killed.
  return status.running && !isAlive(status.pid) ? { ...status, running: false, connected: false } : status;
}

/** An agent that was enrolled by hand and has not run yet. */
async function neverRun(dir: string): Promise<AgentStatus | undefined> {
  // Where that may not be known, it throws: a directory that is closed to the caller is not an empty one.
  const made = statSync(join(dir, "identity.json"), { throwIfNoEntry: false })?.mtime;
  if (made === undefined) return undefined;
  const { id, enrollment } = await openIdentity({ dir });
  return {
    device: id,
    hostname: undefined,
    enrolled: enrollment !== undefined,
    company: enrollment?.root.company,
    upstream: undefined,
    connected: false,
    dictionary: 0,
    dictionaryFailed: false,
    titles: undefined,
    lastScanAt: undefined,
    nextScanAt: undefined,
    nextContactAt: undefined,
    lastStoredAt: undefined,
    spool: { records: 0, bytes: 0, oldestAt: undefined },
    lastError: undefined,
    identityReplacedAt: undefined,
    pid: 0,
    running: false,
    at: made.toISOString(),
  };
}

export async function readStatus(dir: string): Promise<AgentStatus | undefined> {
  try {
    return JSON.parse(await readFile(file(dir), "utf8")) as AgentStatus;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
