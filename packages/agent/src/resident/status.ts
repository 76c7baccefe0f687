/**
 * Purpose: what `daicho agent status` shows: the resident writes it (`status.json`), anyone reads it, running or not.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "@daicho/uplink";
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
  readonly pid: number;
  readonly running: boolean;
  readonly at: string;
}

const file = (dir: string): string => join(dir, "status.json");

export async function writeStatus(dir: string, status: AgentStatus): Promise<void> {
  await writeFileAtomic(file(dir), `${JSON.stringify(status, undefined, 2)}\n`, { mode: 0o640 });
}

/** @throws agent-data-missing */
export async function agentStatus(dir: string): Promise<AgentStatus> {
  const status = await readStatus(dir);
  if (status === undefined) throw agentErrors.make("agent-data-missing", { dir });
  // Left by a process that was killed.
  return status.running && !isAlive(status.pid) ? { ...status, running: false, connected: false } : status;
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
