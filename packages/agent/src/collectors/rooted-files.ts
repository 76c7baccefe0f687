/**
 * Purpose: reading files below a root that is treated as `/`. The root may be the disk of a hostile machine.
 * Invariants: on an offline root no path and no symbolic link leads outside: links are resolved component by component inside the
 * root, and on Linux the opened file is asked once more where it really lies (a link swapped meanwhile gains nothing). Only regular
 * files and directories are read - a FIFO or device never blocks the scan. Reads are bounded: a longer file is a Fault, not memory.
 * On failure: methods throw - an errno error (ENOENT: see Findings.attempt) or a Fault. Paths are POSIX paths inside the root.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import type { Dirent, Stats } from "node:fs";
import { join, sep } from "node:path";
import { Fault, isAbsent } from "./findings.ts";

export interface RootedFiles {
  /** The root is the live machine's own `/`: paths inside are host paths. */
  readonly direct: boolean;
  /** The host path that `path` leads to, all links resolved inside the root. On the live machine: the path itself. */
  hostPath(path: string): string;
  /** The same, on the live machine too; the identity of a place that links can reach by several paths. */
  realPath(path: string): string;
  /** Like fs.stat. */
  stat(path: string): Stats;
  /** False only where nothing is: a place that cannot be looked at counts as there, so that reading it becomes an error and not silence. */
  exists(path: string): boolean;
  /** Entries of a directory in name order. At most `maxEntries` (100,000). */
  list(path: string, maxEntries?: number): Dirent[];
  /** The whole content of a regular file of at most `maxBytes`. */
  read(path: string, maxBytes: number): Buffer;
  readText(path: string, maxBytes: number): string;
  /** Opens a regular file for as long as `use` runs. */
  open<T>(path: string, use: (file: OpenFile) => T): T;
}

/** A regular file that is read in pieces. */
export interface OpenFile {
  readonly size: number;
  /** Exactly `length` bytes from `offset`; a Fault where the file ends before. */
  readAt(offset: number, length: number): Buffer;
}

const maxLinks = 40;
const nofollow = constants.O_NOFOLLOW ?? 0;
const nonblock = constants.O_NONBLOCK ?? 0;

export function rootedFiles(root: string, live: boolean): RootedFiles {
  // The live machine's own "/" needs no guarding against itself; the kernel resolves links faster.
  const direct = live && root === "/";
  // "/" alone would be whatever drive the process happens to stand on.
  const drive = process.platform === "win32" ? (process.env["SystemDrive"] ?? "C:") : "";
  const onDrive = (path: string): string => (/^[\\/]/.test(path) ? drive + path : path);
  let realRoot: string | undefined;
  const base = (): string => (realRoot ??= realpathSync(root));

  const files: RootedFiles = {
    direct,

    hostPath: (path) => (direct ? onDrive(path) : resolveInside(base(), path)),

    realPath: (path) => (direct ? realpathSync(onDrive(path)) : files.hostPath(path)),

    // After resolution nothing is left to follow, so lstat: a link swapped in meanwhile is seen as the link it is.
    stat: (path) => (direct ? statSync(onDrive(path)) : lstatSync(files.hostPath(path))),

    exists(path) {
      try {
        files.stat(path);
        return true;
      } catch (error) {
        return !isAbsent(error);
      }
    },

    list(path, maxEntries = 100_000) {
      const host = files.hostPath(path);
      const entries = readdirSync(host, { withFileTypes: true });
      if (entries.length > maxEntries) throw new Fault("too-large", `more than ${maxEntries} entries`);
      return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    },

    read: (path, maxBytes) =>
      withFile(path, (fd, { size }) => {
        if (size > maxBytes) throw new Fault("too-large", `${size} bytes, more than the ${maxBytes} that are read`);
        return readBounded(fd, size, maxBytes);
      }),

    readText: (path, maxBytes) => files.read(path, maxBytes).toString("utf8"),

    open: (path, use) =>
      withFile(path, (fd, { size }) => use({ size, readAt: (offset, length) => readAt(fd, offset, length) })),
  };

  function withFile<T>(path: string, use: (fd: number, stats: Stats) => T): T {
    const host = files.hostPath(path);
    // Looked at first: opening a device can already do something (a watchdog starts to count).
    assertRegular(direct ? statSync(host) : lstatSync(host));
    const fd = openSync(host, constants.O_RDONLY | nonblock | (direct ? 0 : nofollow));
    try {
      const stats = fstatSync(fd);
      assertRegular(stats);
      if (!direct) assertInside(base(), fd);
      return use(fd, stats);
    } finally {
      closeSync(fd);
    }
  }
  return files;
}

function assertRegular(stats: Stats): void {
  if (!stats.isFile()) throw new Fault("unreadable", "is not a regular file");
}

/** Files of /proc and /sys say size 0 and have content all the same, so the end is where reading ends. */
function readBounded(fd: number, size: number, maxBytes: number): Buffer {
  let buffer = Buffer.allocUnsafe(size === 0 ? 4096 : size + 1);
  let length = 0;
  for (;;) {
    if (length === buffer.length) {
      if (length > maxBytes) throw new Fault("too-large", `more than the ${maxBytes} bytes that are read`);
      buffer = Buffer.concat([buffer], Math.min(buffer.length * 2, maxBytes + 1));
    }
    const count = readSync(fd, buffer, length, buffer.length - length, null);
    if (count === 0) break;
    length += count;
  }
  if (length > maxBytes) throw new Fault("too-large", `more than the ${maxBytes} bytes that are read`);
  return buffer.subarray(0, length);
}

function readAt(fd: number, offset: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  for (let done = 0; done < length;) {
    const count = readSync(fd, buffer, done, length - done, offset + done);
    if (count === 0) throw new Fault("malformed", "the file ends too early");
    done += count;
  }
  return buffer;
}

/** `path` below `root` with every link followed as if `root` were `/`; `..` stops at the root. Throws ENOENT like the system does. */
function resolveInside(root: string, path: string): string {
  const pending = components(path).reverse();
  const done: string[] = [];
  let links = 0;
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === "..") {
      done.pop();
      continue;
    }
    const here = join(root, ...done, part);
    const stats = lstatSync(here);
    if (!stats.isSymbolicLink()) {
      done.push(part);
      continue;
    }
    if (++links > maxLinks) throw new Fault("unreadable", "too many symbolic links");
    const target = readlinkSync(here);
    if (target.startsWith("/") || /^[A-Za-z]:/.test(target)) done.length = 0;
    pending.push(...components(target).reverse());
  }
  return join(root, ...done);
}

function components(path: string): string[] {
  const withoutDrive = process.platform === "win32" ? path.replace(/^[A-Za-z]:/, "").replaceAll("\\", "/") : path;
  return withoutDrive.split("/").filter((part) => part !== "" && part !== ".");
}

function assertInside(root: string, fd: number): void {
  if (process.platform !== "linux") return;
  let real: string;
  try {
    real = readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return; // no /proc here: resolveInside and O_NOFOLLOW remain
  }
  if (root !== "/" && real !== root && !real.startsWith(root + sep))
    throw new Fault("unreadable", "leads outside the root");
}
