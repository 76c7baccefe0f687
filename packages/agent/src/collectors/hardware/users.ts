/**
 * Purpose: whose machine this is right now, on Linux: the sessions that logind writes down, else utmp, else the last login of wtmp.
 * Invariants: somebody at the screen comes before somebody at a console before somebody from afar, people before root, the latest
 * before the earlier. Files only; no subprocess.
 * On failure: an unreadable place is an error in `findings`; damaged records are passed over, for these files hold half-written ones.
 */
import type { Findings } from "../findings.ts";
import type { RootedFiles } from "../rooted-files.ts";

export interface Session {
  readonly user: string;
  readonly kind: "screen" | "console" | "remote";
  /** Seconds since 1970. */
  readonly since: number;
}

const sessionDirectory = "/run/systemd/sessions";
/** Enough for the newest records of a log that grows for months. */
const maxLogBytes = 64 * 1024 * 1024;

export function readUser(files: RootedFiles, arch: string | undefined, findings: Findings): string | undefined {
  const read = (path: string): Session[] =>
    findings.attempt(path, () => parseUtmp(files.read(path, maxLogBytes), arch)) ?? [];
  return (
    foremost(readSessions(files, findings)) ?? foremost(read("/run/utmp")) ?? foremost(read("/var/log/wtmp").slice(-1))
  );
}

function readSessions(files: RootedFiles, findings: Findings): Session[] {
  const found: Session[] = [];
  for (const entry of findings.attempt(sessionDirectory, () => files.list(sessionDirectory)) ?? []) {
    if (!entry.isFile()) continue; // beside each session lies a FIFO, `<id>.ref`
    const path = `${sessionDirectory}/${entry.name}`;
    const text = findings.attempt(path, () => files.readText(path, 64 * 1024));
    const session = text === undefined ? undefined : parseSession(text);
    if (session !== undefined) found.push(session);
  }
  return found;
}

export function parseSession(text: string): Session | undefined {
  const fields = new Map(
    text.split("\n").map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)]),
  );
  const user = fields.get("USER");
  if (user === undefined || user === "" || fields.get("CLASS") !== "user" || fields.get("STATE") === "closing")
    return undefined;
  const type = fields.get("TYPE");
  const kind = fields.get("REMOTE") === "1" ? "remote" : type === "x11" || type === "wayland" ? "screen" : "console";
  return { user, kind, since: Math.floor(Number(fields.get("REALTIME") ?? 0) / 1_000_000) || 0 };
}

const userProcess = 7;

/** struct utmp of glibc: 384 bytes where times have 32 bits, 400 where they have 64 (aarch64 and others without a 32-bit past). */
export function parseUtmp(bytes: Buffer, arch: string | undefined): Session[] {
  const sizes = arch === "aarch64" || arch === "riscv64" || arch === "loongarch64" ? [400, 384] : [384, 400];
  const size = sizes.find((candidate) => bytes.length % candidate === 0) ?? sizes[0] ?? 384;
  const found: Session[] = [];
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (bytes.readInt16LE(at) !== userProcess) continue;
    const text = (offset: number, length: number): string => {
      const end = bytes.indexOf(0, at + offset);
      return bytes.toString(
        "utf8",
        at + offset,
        end === -1 ? at + offset + length : Math.min(end, at + offset + length),
      );
    };
    const [line, user, host] = [text(8, 32), text(44, 32), text(76, 256)];
    if (user === "") continue;
    const atScreen = /^:\d/.test(host) || /^:\d/.test(line) || line === "seat0";
    const since = size === 384 ? bytes.readInt32LE(at + 340) : Number(bytes.readBigInt64LE(at + 344));
    found.push({ user, kind: atScreen ? "screen" : host === "" ? "console" : "remote", since });
  }
  return found;
}

const rank: Readonly<Record<Session["kind"], number>> = { screen: 2, console: 1, remote: 0 };

export function foremost(sessions: readonly Session[]): string | undefined {
  const weight = (session: Session): number => rank[session.kind] + (session.user === "root" ? 0 : 10);
  const [first] = [...sessions].sort(
    (a, b) => weight(b) - weight(a) || b.since - a.since || (a.user < b.user ? -1 : 1),
  );
  return first?.user;
}
