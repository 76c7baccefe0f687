/**
 * Purpose: one process per spool directory (docs/specs/spool.md §6). Without native modules there is no flock, so the lock
 * is a file that names its holder: process id and, where the system tells (Linux), the time that process started - a
 * number reused by another process after a reboot or in a container is then recognised as another process.
 * Failure: a holder that was killed leaves its file behind; the next one sees that it is dead and takes over.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, open, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { spoolErrors } from "./errors.ts";

interface Holder {
  readonly pid: number;
  readonly started: string;
  readonly instance: string;
}

/** Tells two loads of this module apart where the system does not tell when a process started. */
const instance = randomBytes(8).toString("hex");

/** @throws spool-locked */
export async function lockDirectory(dir: string): Promise<{ release(): Promise<void> }> {
  const path = join(dir, "lock");
  const mine: Holder = { pid: process.pid, started: startedAt(process.pid), instance };
  const text = JSON.stringify(mine);
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await createWhole(path, text)) return { release: () => release(path, text) };
    const found = await readFile(path, "utf8").catch(() => undefined);
    if (found === undefined) continue; // Released just now.
    const holder = parseHolder(found);
    if (holder !== undefined && isAlive(holder)) throw spoolErrors.make("spool-locked", { dir, pid: holder.pid });
    if (await takeOver(path, found, text)) return { release: () => release(path, text) };
  }
  throw spoolErrors.make("spool-locked", { dir, pid: "unknown" });
}

/** The lock appears with its content or not at all: nobody ever reads half of it. */
async function createWhole(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const handle = await open(draft, "wx", 0o600);
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    // File systems without hard links (FAT, some network shares): exclusive creation, a little less strict.
    const exclusive = await open(path, "wx", 0o600).catch(() => undefined);
    if (exclusive === undefined) return false;
    await exclusive.writeFile(text);
    await exclusive.close();
    return true;
  } finally {
    await unlink(draft).catch(() => undefined);
  }
}

/**
 * Replaces a dead holder's lock by ours. Only who holds the guard of that very lock may remove it, and removes it only if it is still there: of many
 * who found the holder dead, none can take away the lock of the one who was quickest. A guard whose maker died is not removed but outnumbered, so
 * that no two can take the same one.
 */
async function takeOver(path: string, dead: string, text: string): Promise<boolean> {
  const name = `${path}.over.${createHash("sha256").update(dead).digest("hex").slice(0, 16)}`;
  for (let n = 0; n < 1000; n++) {
    if (!(await createWhole(`${name}.${n}`, text))) {
      const other = parseHolder(await readFile(`${name}.${n}`, "utf8").catch(() => ""));
      if (other === undefined || isAlive(other)) return false;
      continue;
    }
    try {
      if ((await readFile(path, "utf8").catch(() => undefined)) !== dead) return false;
      await unlink(path);
      return await createWhole(path, text);
    } finally {
      for (let i = n; i >= 0; i--) await unlink(`${name}.${i}`).catch(() => undefined);
    }
  }
  return false;
}

async function release(path: string, text: string): Promise<void> {
  const found = await readFile(path, "utf8").catch(() => undefined);
  if (found === text) await unlink(path).catch(() => undefined);
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null;
    if (!Number.isSafeInteger(value?.pid) || typeof value?.started !== "string") return undefined;
    return { pid: value.pid as number, started: value.started, instance: String(value.instance) };
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  const started = startedAt(holder.pid);
  if (started === "ended") return false;
  if (started !== "" && holder.started !== "") return started === holder.started;
  if (holder.pid === process.pid) return holder.instance === instance;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Boot and start time of a process; "ended" when there is none, "" where the system does not tell. */
function startedAt(pid: number): string {
  let boot: string;
  try {
    boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command's name stands in parentheses and may hold anything; fields are counted behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended; only its parent has not noticed yet.
    return fields[0] === "Z" ? "ended" : `${boot}/${fields[19] ?? ""}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" || (error as NodeJS.ErrnoException).code === "ESRCH"
      ? "ended"
      : "";
  }
}
