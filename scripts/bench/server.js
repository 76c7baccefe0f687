/**
 * A real server process for a measurement: started on a free port with the starter policy published, its processor time and memory read from
 * outside (Linux' /proc), so that measuring costs it nothing.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
export const daicho = join(root, "packages/cli/bin/daicho.js");
const ticksPerSecond = 100;

export async function startServer({
  database,
  nodeArgs = [],
  dir = mkdtempSync(join(tmpdir(), "daicho-bench-")),
  place = 0,
} = {}) {
  const url = database ?? `sqlite:${join(dir, "daicho.db")}`;
  const config = join(dir, "server.yaml");
  // `place`: of several servers of one run.
  const port = 20_000 + ((process.pid + 7 * place) % 20_000);
  writeFileSync(
    config,
    `role: both\nname: bench\nlisten: 127.0.0.1:${port}\ndatabase: ${url}\ndata: ${join(dir, "data")}\n`,
  );
  const address = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, [...nodeArgs, daicho, "server", "--config", config], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DAICHO_LOG_LEVEL: "error" },
  });
  const exited = new Promise((resolve) => child.on("exit", resolve));
  const started = performance.now();
  while (!(await answers(`${address}/readyz`))) {
    if (child.exitCode !== null || performance.now() - started > 120_000) throw new Error("the server does not start");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const startSeconds = (performance.now() - started) / 1000;
  const token = daichoText(["admin", "token", "--config", config]);
  const env = { DAICHO_SERVER: address, DAICHO_TOKEN: token };
  // What it had used at each moment: a phase of the load says when it was.
  const samples = [];
  let peak = 0;
  const timer = setInterval(() => {
    const cpu = cpuOf(child.pid);
    if (cpu !== undefined) samples.push([Date.now(), cpu]);
    peak = Math.max(peak, memoryOf(child.pid) ?? 0);
  }, 50);
  return {
    url,
    address,
    dir,
    env,
    token,
    pid: child.pid,
    startSeconds,
    cpu: () => cpuOf(child.pid) ?? 0,
    /** Resident bytes, highest seen. */
    peak: () => peak,
    /** Processor seconds between two times of day. */
    cpuBetween(from, to) {
      const at = (time) => samples.findLast(([when]) => when <= time)?.[1] ?? 0;
      return at(to) - at(from);
    },
    async publish(text = readFileSync(join(root, "examples/enterprise.policy.yaml"), "utf8")) {
      const answer = await fetch(`${address}/api/v1/policies/enterprise`, {
        method: "PUT",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/yaml" },
        body: text,
      });
      if (!answer.ok) throw new Error(`publishing: ${answer.status} ${await answer.text()}`);
    },
    get: async (path) => {
      const answer = await fetch(`${address}${path}`, { headers: { authorization: `Bearer ${token}` } });
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    },
    async stop() {
      clearInterval(timer);
      child.kill("SIGTERM");
      await exited;
    },
    remove() {
      child.kill("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function simulateArgs(server, enrollment, { devices, titles, phases }) {
  return [
    "simulate",
    "--upstream",
    server.address,
    "--enrollment-token",
    enrollment,
    "--devices",
    String(devices),
  ].concat(["--titles", String(titles), "--phases", phases, "--json"]);
}

/** Runs the command without blocking this process, which goes on sampling the server. */
export function daichoRun(args, env = {}, nodeArgs = []) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeArgs, daicho, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part) => (text += part));
    child.on("exit", (code) => (code === 0 ? resolve(text) : reject(new Error(`daicho ${args[0]}: exit ${code}`))));
  });
}

export function daichoText(args, env = {}) {
  const result = spawnSync(process.execPath, [daicho, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status !== 0) throw new Error(`daicho ${args[0]}: ${result.stderr}`);
  return result.stdout.trim();
}

export function sizeOf(dir) {
  return readdirSync(dir)
    .filter((name) => name.includes(".db"))
    .reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}

/** Processor seconds of PostgreSQL's processes that work for this database; those that have ended are not seen. */
export function postgresCpu(url) {
  const name = new URL(url).pathname.slice(1);
  let seconds = 0;
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const title = readFileSync(`/proc/${pid}/cmdline`, "latin1");
      if (title.startsWith("postgres:") && title.split(/\s/).includes(name)) seconds += cpuOf(pid) ?? 0;
    } catch {
      // It has ended.
    }
  }
  return seconds;
}

const answers = (url) =>
  fetch(url).then(
    (r) => r.ok,
    () => false,
  );

function cpuOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return undefined;
  }
}

function memoryOf(pid) {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024;
  } catch {
    return undefined;
  }
}
