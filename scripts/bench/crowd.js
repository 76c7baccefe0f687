/**
 * A crowd of agents that is light enough for tens of thousands on one machine: each has its own key, enrolment, connection, uplink and sender - the
 * product's own (packages/uplink, packages/agent/src/report/sender) - and so waits, retries and obeys as a real one. What a scan would find is derived
 * from a seed (packages/cli/src/simulate), and what waits is kept in memory instead of a spool. They share a few processes.
 *
 *     const crowd = await createCrowd({ upstream, token, devices: 20_000 })
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("./crowd-process.js", import.meta.url));
/** Below what one process may have open where nobody raised the limit. */
const perProcess = 8_000;

export async function createCrowd({ upstream, token, devices, titles = 100 }) {
  const count = Math.ceil(devices / perProcess);
  const from = (i) => Math.round((i * devices) / count);
  const parts = Array.from({ length: count }, (_, i) =>
    startPart({ upstream, token, titles, devices, from: from(i), to: from(i + 1) }),
  );
  const all = async (name, args) => sum(await Promise.all(parts.map((part) => part.ask(name, args))));
  return {
    /** Everybody enrols; one after the other reports in full. */
    join: () => all("join"),
    /** Everybody installs something and, from now on, tries to say so. */
    switchOn: () => all("switchOn"),
    /** Everybody opens a channel, and says when it is open. */
    connect: () => all("connect"),
    /** Everybody says that it is there: a heartbeat each, at once. */
    beat: () => all("beat"),
    /** Numbers over all agents; lists are joined. */
    stats: () => all("stats"),
    /** Asks the server itself, with a heartbeat of everybody, whether it holds what was reported last. */
    verify: (server) => all("verify", { server }),
    close: () => parts.forEach((part) => part.end()),
  };
}

function startPart(options) {
  const child = fork(script, [JSON.stringify(options)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const open = new Map();
  let asked = 0;
  child.on("message", ({ id, value, error }) => {
    const { resolve, reject } = open.get(id);
    open.delete(id);
    if (error === undefined) resolve(value);
    else reject(new Error(error));
  });
  child.on("exit", (code) => {
    for (const { reject } of open.values()) reject(new Error(`the crowd ended with ${code}`));
  });
  return {
    ask: (name, args) =>
      new Promise((resolve, reject) => {
        open.set(++asked, { resolve, reject });
        child.send({ id: asked, name, args });
      }),
    end: () => child.kill("SIGKILL"),
  };
}

/** Numbers added, objects key by key, lists joined. */
function sum(values) {
  const add = (a, b) => {
    if (a === undefined || b === undefined) return a ?? b;
    if (Array.isArray(a)) return [...a, ...b];
    if (typeof a === "object")
      return Object.fromEntries([...new Set([...Object.keys(a), ...Object.keys(b)])].map((k) => [k, add(a[k], b[k])]));
    return a + b;
  };
  return values.reduce(add);
}
