/**
 * Purpose: real processes: started, asked to stop, killed without warning, started again.
 * Invariants: each writes to a log file that outlives it; none outlives the test, whatever becomes of the test; a process that ends by itself
 * while somebody waits for it is a failure that shows the end of its log.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { until } from "./until.ts";

const daichoBin = fileURLToPath(new URL("../../packages/cli/bin/daicho.js", import.meta.url));
const built = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));

export interface NodeProcess {
  readonly name: string;
  readonly running: boolean;
  /** From its next start on it may write no file larger than this, as if the disk were full then; undefined = the disk is free again. */
  largestFile: number | undefined;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** Starts it without waiting for anything. */
  launch(): void;
  /** Resolves when it answers; it must have been launched. */
  ready(): Promise<void>;
  /** SIGKILL: nothing is finished, nothing is said. */
  kill(): Promise<void>;
  /** SIGTERM, and until it is gone. */
  stop(): Promise<void>;
  log(): string;
  /** How often the log has an event of this name (and these words). */
  logged(...words: readonly string[]): number;
}

const alive = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

/** What a node must not inherit: the tester's own settings. */
function cleanEnvironment(extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(DAICHO_|NODE_OPTIONS$|NODE_ENV$|VITEST|TEST$|TINYPOOL)/.test(name),
  );
  return { ...Object.fromEntries(kept), DAICHO_LOG_LEVEL: "info", ...extra };
}

export function createProcess(options: {
  readonly name: string;
  /** Arguments of `daicho`, or of `script`. */
  readonly args: readonly string[];
  readonly script?: string;
  readonly logFile: string;
  readonly isReady: () => Promise<boolean>;
}): NodeProcess {
  const { name, args, logFile, isReady } = options;
  let child: ChildProcess | undefined;
  let gone: Promise<void> = Promise.resolve();

  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "");

  function launch(): void {
    if (child !== undefined) throw new Error(`${name} runs already`);
    if (!existsSync(built)) throw new Error("packages/cli/dist is missing; run `npm run build` first");
    const out = openSync(logFile, "a");
    const command = [process.execPath, options.script ?? daichoBin, ...args];
    const { largestFile } = node;
    const limited = ["sh", "-c", `ulimit -f ${Math.ceil((largestFile ?? 0) / 512)}; exec "$@"`, "sh", ...command];
    const [program = "", ...rest] = largestFile === undefined ? command : limited;
    const started = spawn(program, rest, {
      stdio: ["ignore", out, out],
      env: cleanEnvironment({}),
    });
    closeSync(out);
    child = started;
    alive.add(started);
    gone = new Promise((resolve) => {
      const end = (): void => {
        alive.delete(started);
        if (child === started) child = undefined;
        resolve();
      };
      started.once("exit", end);
      started.once("error", end);
    });
  }

  async function ready(): Promise<void> {
    let died = false;
    await until(`${name} to answer`, async () => (died = child === undefined) || isReady(), { seconds: 180 });
    if (died) throw new Error(`${name} ended by itself:\n${log().slice(-2000)}`);
  }

  async function end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    child?.kill(signal);
    await gone;
  }

  const node: NodeProcess = {
    name,
    largestFile: undefined,
    get running() {
      return child !== undefined;
    },
    async start() {
      launch();
      await ready();
    },
    launch,
    ready,
    kill: () => end("SIGKILL"),
    async stop() {
      const limit = setTimeout(() => child?.kill("SIGKILL"), 20_000);
      await end("SIGTERM");
      clearTimeout(limit);
    },
    log,
    logged: (...words) =>
      log()
        .split("\n")
        .filter((line) => words.every((word) => line.includes(word))).length,
  };
  return node;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `daicho …` to its end. */
export function daicho(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [daichoBin, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: cleanEnvironment(env),
    });
    alive.add(child);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (part: Buffer) => out.push(part));
    child.stderr.on("data", (part: Buffer) => err.push(part));
    child.once("error", reject);
    child.once("close", (code) => {
      alive.delete(child);
      resolve({ code, stdout: Buffer.concat(out).toString("utf8"), stderr: Buffer.concat(err).toString("utf8") });
    });
  });
}

const taken = new Set<number>();

/**
 * A port that is free and stays so while its node is down: outside the range from which the system takes ports for outgoing connections.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    if (taken.has(port)) continue;
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (!free) continue;
    taken.add(port);
    return port;
  }
}
