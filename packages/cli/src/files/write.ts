/**
 * Purpose: files that a command writes: all of it or, where it fails, none. A link stays a link; what is no file (/dev/null,
 * /dev/stdout, a FIFO) is written to and never replaced.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { cliErrors } from "../errors.ts";

/** @throws file-unwritable */
export async function writeWhole(file: string, text: string, mode = 0o666): Promise<void> {
  try {
    const present = await stat(file).catch(() => undefined);
    if (present !== undefined && !present.isFile() && !present.isDirectory()) await writeFile(file, text);
    else await replace(present === undefined ? file : await realpath(file), text, mode);
  } catch (error) {
    throw cliErrors.make("file-unwritable", { file, reason: (error as NodeJS.ErrnoException).code ?? "unknown" });
  }
}

async function replace(file: string, text: string, mode: number): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await mkdir(dirname(file), { recursive: true });
    const handle = await open(draft, "wx", mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
