/**
 * Purpose: a company's nodes for a test: each a process of its own with its own data directory and an address that stays the same over
 * restarts, enrolled with real tokens made by the command line.
 * Invariant: `close` leaves no process and no file behind.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createApi, type Api } from "./api.ts";
import { createProcess, daicho, freePort, type NodeProcess } from "./processes.ts";

const madeUpAgents = fileURLToPath(new URL("./made-up-agents.js", import.meta.url));

export interface Node {
  readonly url: string;
  readonly data: string;
  readonly process: NodeProcess;
}
export interface ServerNode extends Node {
  readonly api: Api;
  readonly configFile: string;
  enrollmentToken(): Promise<string>;
  /** `daicho …` as this server's administrator. */
  run(...args: readonly string[]): ReturnType<typeof daicho>;
}

export interface MadeUpAgent {
  readonly name: string;
  readonly data: string;
  /** What the next scan finds. */
  readonly inventoryFile: string;
}

export interface Site {
  readonly dir: string;
  readonly nodes: readonly Node[];
  server(options: {
    readonly name: string;
    readonly role?: "corporate" | "group";
    readonly upstream?: ServerNode;
    readonly database?: string;
    readonly more?: object;
  }): Promise<ServerNode>;
  relay(options: {
    readonly name: string;
    readonly upstream: string;
    readonly company: ServerNode;
    readonly limits?: object;
  }): Promise<Node>;
  /** Agents whose scans find what is in their files, all in one process. */
  agents(options: {
    /** Of the process; "agents" unless several are needed. */
    readonly process?: string;
    /** How far the machine's clock is ahead. */
    readonly clockAheadMs?: number;
    /** The very machines of another process, which must not run at the same time. */
    readonly sameAs?: readonly MadeUpAgent[];
    readonly names: readonly string[];
    readonly upstream: string;
    readonly company: ServerNode;
    readonly heartbeat?: string;
  }): Promise<{ readonly process: NodeProcess; readonly agents: readonly MadeUpAgent[] }>;
  /** The real thing, on this very machine; its file search is kept to an empty directory. */
  agent(options: {
    readonly name: string;
    readonly upstream: string;
    readonly company: ServerNode;
    readonly heartbeat?: string;
  }): Promise<Node>;
  write(name: string, text: string): string;
  /** The ends of all logs, for the message of a test that failed. */
  logs(): string;
  close(): Promise<void>;
}

export function createSite(): Site {
  const dir = mkdtempSync(join(tmpdir(), "daicho-site-"));
  const nodes: Node[] = [];
  const processes: NodeProcess[] = [];

  const write = (name: string, text: string): string => {
    const file = join(dir, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  };

  function node(name: string, args: readonly string[], url: string, path: string): Node {
    const answers = async (): Promise<boolean> =>
      fetch(`${url}${path}`, { signal: AbortSignal.timeout(5000) }).then(
        ({ ok }) => ok,
        () => false,
      );
    const process = createProcess({ name, args, logFile: join(dir, `${name}.log`), isReady: answers });
    const made = { url, data: join(dir, name), process };
    nodes.push(made);
    processes.push(process);
    return made;
  }

  async function must(result: ReturnType<typeof daicho>): Promise<string> {
    const { code, stdout, stderr } = await result;
    if (code !== 0) throw new Error(`daicho ended with ${code}: ${stderr}`);
    return stdout.trim();
  }

  async function tokenFile(name: string, company: ServerNode): Promise<string> {
    return write(`${name}/enrollment-token`, `${await company.enrollmentToken()}\n`);
  }

  const site: Site = {
    dir,
    nodes,
    write,
    async server({ name, role = "corporate", upstream, database, more = {} }) {
      const data = join(dir, name);
      const port = await freePort();
      const configFile = write(
        `${name}/server.yaml`,
        JSON.stringify({
          role,
          name,
          listen: `127.0.0.1:${port}`,
          data,
          database: database ?? `sqlite:${join(data, "daicho.db")}`,
          heartbeatSeconds: 10,
          ...(upstream && {
            upstream: { url: upstream.url, enrollmentTokenFile: await tokenFile(name, upstream) },
          }),
          ...more,
        }),
      );
      const made = node(name, ["server", "--config", configFile], `http://127.0.0.1:${port}`, "/readyz");
      await made.process.start();
      const api = createApi(made.url, await must(daicho(["admin", "token", "--config", configFile])));
      const run: ServerNode["run"] = (...args) => daicho(args, { DAICHO_SERVER: made.url, DAICHO_TOKEN: api.token });
      const enrollmentToken = async (): Promise<string> =>
        (await api.send<{ token: string }>("POST", "/api/v1/enrollment-tokens", {})).token;
      return { ...made, api, configFile, run, enrollmentToken };
    },
    async relay({ name, upstream, company, limits = {} }) {
      const port = await freePort();
      const config = {
        name,
        listen: `127.0.0.1:${port}`,
        upstream: [upstream],
        data: join(dir, name, "data"),
        limits,
        enrollmentTokenFile: await tokenFile(name, company),
      };
      const configFile = write(`${name}/relay.yaml`, JSON.stringify(config));
      const made = node(name, ["relay", "--config", configFile], `http://127.0.0.1:${port}`, "/readyz");
      await made.process.start();
      return { ...made, data: config.data };
    },
    async agents({ process: called = "agents", names, upstream, company, heartbeat = "2s", clockAheadMs = 0, sameAs }) {
      const enrollmentTokenFile = await tokenFile(called, company);
      const agents =
        sameAs ??
        names.map((name): MadeUpAgent => ({
          name,
          data: join(dir, called, name),
          inventoryFile: join(dir, called, `${name}.json`),
        }));
      const configFile = write(
        `${called}/agents.json`,
        JSON.stringify(
          agents.map(({ data, inventoryFile }) => ({
            upstream: [upstream],
            enrollmentTokenFile,
            data,
            heartbeat,
            inventoryFile,
            clockAheadMs,
          })),
        ),
      );
      const made = createProcess({
        name: called,
        script: madeUpAgents,
        args: [configFile],
        logFile: join(dir, `${called}.log`),
        isReady: () => Promise.resolve(agents.every(({ data }) => existsSync(join(data, "status.json")))),
      });
      processes.push(made);
      return { process: made, agents };
    },
    async agent({ name, upstream, company, heartbeat = "2s" }) {
      const data = join(dir, name, "data");
      const root = join(dir, name, "root");
      mkdirSync(root, { recursive: true });
      const configFile = write(
        `${name}/agent.yaml`,
        JSON.stringify({
          upstream: [upstream],
          data,
          heartbeat,
          scan: { roots: [root], every: "1m", splay: "0s" },
          enrollmentTokenFile: await tokenFile(name, company),
        }),
      );
      const made = createProcess({
        name,
        args: ["agent", "run", "--config", configFile],
        logFile: join(dir, `${name}.log`),
        isReady: () => Promise.resolve(existsSync(join(data, "status.json"))),
      });
      processes.push(made);
      return { url: "", data, process: made };
    },
    logs: () => processes.map((p) => `--- ${p.name}\n${p.log().slice(-1500)}`).join("\n"),
    async close() {
      await Promise.all(processes.map((one) => one.kill()));
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
  return site;
}
