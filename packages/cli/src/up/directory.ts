/**
 * Purpose: the directory of `daicho up`: one process at a time, secrets readable by their owner only.
 *
 *     admin-token  group/  corporate/  relay/  agent/  daicho.log  lock
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDaichoError } from "@daicho/kernel";
import { lockDirectory } from "@daicho/spool";
import { cliErrors } from "../errors.ts";
import { writeWhole } from "../files/write.ts";

export interface UpDirectory {
  readonly path: string;
  /** A secret kept here under this name; made by `make` where there is none that `isGood`. */
  secret(name: string, make: () => Promise<string>, isGood: (secret: string) => Promise<boolean>): Promise<string>;
  release(): Promise<void>;
}

/** @throws already-running, file-unwritable */
export async function openUpDirectory(path: string): Promise<UpDirectory> {
  let lock: { release(): Promise<void> };
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    lock = await lockDirectory(path);
  } catch (error) {
    if (isDaichoError(error, "spool-locked"))
      throw cliErrors.make("already-running", { dir: path, pid: error.details["pid"] });
    throw cliErrors.make("file-unwritable", { file: path, reason: (error as NodeJS.ErrnoException).code ?? "unknown" });
  }
  return {
    path,
    async secret(name, make, isGood) {
      const file = join(path, name);
      const kept = (await readFile(file, "utf8").catch(() => "")).trim();
      if (kept !== "" && (await isGood(kept))) return kept;
      const made = await make();
      await writeWhole(file, `${made}\n`, 0o600);
      return made;
    },
    release: () => lock.release(),
  };
}
