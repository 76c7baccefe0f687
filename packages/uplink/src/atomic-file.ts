/**
 * Purpose: replaces a small file so that after a crash or power loss it holds the old content or the new, never half of it.
 * Invariant: when the promise resolves the new content is durable. Leftover `*.tmp-…` files of a crash are harmless.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";

export interface AtomicWriteOptions {
  /** Default 0o600. */
  readonly mode?: number;
  /** Answer false, and leave the file alone, where it exists already. */
  readonly onlyIfAbsent?: boolean;
}

export async function writeFileAtomic(
  file: string,
  data: string | Uint8Array,
  options: AtomicWriteOptions = {},
): Promise<boolean> {
  const dir = dirname(file);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const draft = `${file}.tmp-${process.pid}-${randomBytes(4).toString("hex")}`;
  const handle = await open(draft, "wx", options.mode ?? 0o600);
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    if (options.onlyIfAbsent === true) {
      if (!(await linkIfAbsent(draft, file))) return false;
    } else await rename(draft, file);
  } finally {
    await unlink(draft).catch(() => undefined);
  }
  await syncDirectory(dir);
  return true;
}

async function linkIfAbsent(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    // A file system without hard links: two processes starting in the same instant are not told apart there.
    await rename(draft, file);
    return true;
  }
}

/** Makes names in a directory durable. Windows has no such call; NTFS journals names by itself. */
export async function syncDirectory(dir: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
