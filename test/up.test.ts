/**
 * `daicho up` as a user starts it: a real process, real sockets, a real scan of this machine. The round trip is the main job of the
 * whole product (issue: "From a real disk to a department's number").
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = join(root, "packages/cli/bin/daicho.js");
const base = mkdtempSync(join(tmpdir(), "daicho-up-"));
const data = join(base, "data");
const children = new Set<ChildProcess>();

beforeAll(() => {
  // The command runs what was built; what is tested must be what was written.
  const built = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b", "packages/cli"], {
    cwd: root,
    encoding: "utf8",
  });
  expect(built.stdout).toBe("");
}, 300_000);

afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(base, { recursive: true, force: true });
});

interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function start(args: readonly string[]): {
  child: ChildProcess;
  ended: Promise<Ended>;
  saw(text: string): Promise<string>;
} {
  const child = spawn(process.execPath, [bin, ...args], { cwd: base, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const texts = { out: "", err: "" };
  child.stdout.on("data", (chunk: Buffer) => (texts.out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (texts.err += chunk.toString()));
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (status) => {
      children.delete(child);
      resolve({ status, ...texts });
    }),
  );
  const saw = async (text: string): Promise<string> => {
    while (!texts.out.includes(text)) {
      if (child.exitCode !== null) throw new Error(`ended without saying ${text}: ${texts.err}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return texts.out;
  };
  return { child, ended, saw };
}

interface Item {
  readonly license: string;
  readonly used: number;
}

describe("daicho up", () => {
  let first: readonly Item[] = [];

  it("brings this machine's software from its disk to the company's and the group's position, and ends", async () => {
    const { status, out, err } = await start(["up", "--once", "--port", "0", "--json", "--data", data]).ended;
    expect({ status, err }).toEqual({
      status: 0,
      err: expect.stringContaining("holds the company's position") as unknown,
    });
    first = (JSON.parse(out) as { items: readonly Item[] }).items;
    const used = first.filter((item) => item.used > 0);
    // What runs this test is installed here, if anything is.
    expect(used.length).toBeGreaterThan(0);
    expect(used.every((item) => item.used === 1)).toBe(true);
  }, 120_000);

  it("keeps its secrets to their owner and the nodes' events out of the terminal", () => {
    expect(statSync(join(data, "admin-token")).mode & 0o077).toBe(0);
    const secret = readFileSync(join(data, "admin-token"), "utf8").trim();
    const log = readFileSync(join(data, "daicho.log"), "utf8");
    expect(log).toContain('"event":"node-enrolled"');
    expect(log).not.toContain(secret);
  });

  it("goes on with the same directory: same company, same device, same position", async () => {
    const { status, out, err } = await start(["up", "--once", "--port", "0", "--json", "--data", data]).ended;
    expect(status).toBe(0);
    expect(err).toContain("has its enterprise policy, version 1");
    expect((JSON.parse(out) as { items: readonly Item[] }).items).toEqual(first);
  }, 120_000);

  it("keeps running until it is asked to stop, refuses a second one on its directory, and ends cleanly", async () => {
    const running = start(["up", "--port", "0", "--data", data]);
    const text = await running.saw("Console");
    const url = /Console\s+(\S+)/.exec(text)?.[1] ?? "";
    expect((await fetch(new URL("/healthz", url))).status).toBe(200);
    expect(text).toMatch(/^license +name +metric +used/m);
    const second = await start(["up", "--port", "0", "--data", data]).ended;
    expect(second).toMatchObject({
      status: 1,
      out: "",
      err: expect.stringMatching(/^daicho: .*\[already-running\].*\n$/) as unknown,
    });
    running.child.kill("SIGTERM");
    expect((await running.ended).status).toBe(0);
    await expect(fetch(new URL("/healthz", url))).rejects.toThrow();
    expect(existsSync(join(data, "lock"))).toBe(false);
    expect(readdirSync(join(data, "relay/spool"))).not.toContain("lock");
  }, 120_000);

  it("says in one line when its port is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const port = (other.address() as { port: number }).port;
    const { status, out, err } = await start(["up", "--once", "--port", String(port), "--data", join(base, "other")])
      .ended;
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toMatch(new RegExp(`^daicho: 127\\.0\\.0\\.1:${port} is taken .*\\[port-taken\\].*\\n$`));
    await new Promise((resolve) => other.close(resolve));
  }, 60_000);
});
