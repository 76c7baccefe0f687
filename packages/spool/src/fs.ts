/**
 * Purpose: the handful of file operations the spool stands on, so that tests can fail or forget any of them.
 * Invariant: `syncDir` makes names durable, `datasync` makes content and length durable; nothing else does.
 */
import { mkdir, open, readdir, unlink } from "node:fs/promises";

export interface SpoolFile {
  /** Fills `into` from `position`; returns how many bytes there were. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all of `data` at `position`, or throws. */
  write(data: Uint8Array, position: number): Promise<void>;
  datasync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface SpoolFs {
  mkdir(dir: string): Promise<void>;
  list(dir: string): Promise<readonly string[]>;
  /** `create` refuses an existing file; `update` makes one where there is none. */
  open(path: string, mode: "read" | "create" | "update"): Promise<SpoolFile>;
  unlink(path: string): Promise<void>;
  syncDir(dir: string): Promise<void>;
}

export const nodeFs: SpoolFs = {
  async mkdir(dir) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  },
  list: (dir) => readdir(dir),
  async open(path, mode) {
    const handle =
      mode === "read"
        ? await open(path, "r")
        : mode === "create"
          ? await open(path, "wx+", 0o600)
          : await open(path, "r+").catch((error: NodeJS.ErrnoException) => {
              if (error.code !== "ENOENT") throw error;
              return open(path, "wx+", 0o600);
            });
    return {
      async read(into, position) {
        let filled = 0;
        while (filled < into.length) {
          const { bytesRead } = await handle.read(into, filled, into.length - filled, position + filled);
          if (bytesRead === 0) break;
          filled += bytesRead;
        }
        return filled;
      },
      async write(data, position) {
        let done = 0;
        while (done < data.length) {
          const { bytesWritten } = await handle.write(data, done, data.length - done, position + done);
          done += bytesWritten;
        }
      },
      datasync: () => handle.datasync(),
      truncate: (length) => handle.truncate(length),
      size: async () => (await handle.stat()).size,
      close: () => handle.close(),
    };
  },
  unlink: (path) => unlink(path),
  async syncDir(dir) {
    // Windows has no handle on a directory to sync; NTFS journals names by itself.
    if (process.platform === "win32") return;
    const handle = await open(dir, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

export function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? "unknown";
}
