/**
 * Real nodes for a measurement, each a process: servers above, relays in a chain below them. Memory is read from outside (Linux' /proc), so that measuring
 * costs the node nothing; a node that was killed starts again on the same disk and address, and its peak is that of all its lives.
 */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
const daicho = join(root, "packages/cli/bin/daicho.js");

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is true; how long it took, ms. */
export async function until(what, ask, seconds = 600) {
  const began = performance.now();
  while (!(await ask().catch(() => false))) {
    if (performance.now() - began > seconds * 1000) throw new Error(`waited in vain for: ${what}`);
    await pause(20);
  }
  return performance.now() - began;
}

export function createNodes() {
  const dir = mkdtempSync(join(tmpdir(), "daicho-bench-nodes-"));
  const all = [];

  async function node(command, name, config) {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const home = join(dir, name);
    mkdirSync(home, { recursive: true });
    const file = join(home, "config.json");
    writeFileSync(
      file,
      JSON.stringify({ name, listen: `127.0.0.1:${port}`, data: join(home, "data"), ...config(home) }),
    );
    const log = openSync(join(home, "log"), "a");
    let child;
    let peak = 0;
    const look = () => (peak = Math.max(peak, memoryOf(child?.pid, "VmHWM")));
    const timer = setInterval(look, 200);
    const made = {
      name,
      url,
      file,
      dir: home,
      launch() {
        child = spawn(process.execPath, [daicho, command, "--config", file], {
          stdio: ["ignore", log, log],
          env: { ...process.env, DAICHO_LOG_LEVEL: "warn" },
        });
      },
      ready: () => until(`${name} to answer`, async () => (await fetch(`${url}/readyz`)).ok, 120),
      kill() {
        look();
        const gone = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGKILL");
        return gone;
      },
      /** Resident bytes: now, and at most. */
      resident: () => memoryOf(child?.pid, "VmRSS"),
      peak: () => look(),
      async metric(metric) {
        const text = await (await fetch(`${url}/metrics`)).text();
        return Number(new RegExp(`^${metric} (\\S+)$`, "m").exec(text)?.[1]);
      },
      end() {
        clearInterval(timer);
        child?.kill("SIGKILL");
        closeSync(log);
      },
    };
    all.push(made);
    made.launch();
    await made.ready();
    return made;
  }

  return {
    dir,
    /** `above`: the group's server. */
    async server(name, { role = "corporate", above } = {}) {
      const made = await node("server", name, (home) => ({
        role,
        database: `sqlite:${join(home, "daicho.db")}`,
        ...(above && { upstream: { url: above.url, enrollmentToken: above.enrollmentToken() } }),
      }));
      const token = run(["admin", "token", "--config", made.file]);
      const env = { DAICHO_SERVER: made.url, DAICHO_TOKEN: token };
      return {
        ...made,
        env,
        enrollmentToken: () => run(["enrollment", "create"], env),
        reconcile: () => run(["report", "reconcile"], env),
        async call(method, path, body, type = "application/json") {
          const headers = { authorization: `Bearer ${token}`, ...(body !== undefined && { "content-type": type }) };
          const answer = await fetch(`${made.url}${path}`, { method, headers, body });
          if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${(await answer.text()).slice(0, 500)}`);
          const text = await answer.text();
          return text === "" ? undefined : JSON.parse(text);
        },
      };
    },
    relay: (name, above, enrollmentToken) => node("relay", name, () => ({ upstream: [above.url], enrollmentToken })),
    close() {
      for (const one of all) one.end();
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

export const starterPolicy = () => readFileSync(join(root, "examples/enterprise.policy.yaml"), "utf8");
export const mebibytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MiB`;
export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

function run(args, env = {}) {
  const result = spawnSync(process.execPath, [daicho, ...args], { encoding: "utf8", env: { ...process.env, ...env } });
  if (result.status !== 0) throw new Error(`daicho ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout.trim();
}

function memoryOf(pid, field) {
  try {
    return (
      Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024
    );
  } catch {
    return 0;
  }
}

/** Outside the range from which the system takes ports for outgoing connections: a node that is down keeps its own. */
async function freePort() {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    const free = await new Promise((resolve) => {
      const probe = createServer();
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
