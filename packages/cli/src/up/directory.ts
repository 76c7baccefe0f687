/**
 * Purpose: the directory of `daicho up`: one process at a time, secrets readable by their owner only.
 *
 *     admin-token  group/  corporate/  relay/  agent/  daicho.log  up.pid
 */
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
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
  const pidFile = join(path, "up.pid");
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await claim(path, pidFile);
  } catch (error) {
    if (error instanceof Error && error.name === "DaichoError") throw error;
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
    release: () => rm(pidFile, { force: true }),
  };
}

async function claim(dir: string, pidFile: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const handle = await open(pidFile, "wx", 0o600);
      await handle.writeFile(String(process.pid));
      await handle.close();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const pid = Number(await readFile(pidFile, "utf8").catch(() => ""));
      if (attempt === 3 || (pid > 0 && pid !== process.pid && isAlive(pid)))
        throw cliErrors.make("already-running", { dir, pid });
      // Left by one that was killed.
      await rm(pidFile, { force: true });
    }
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
