/** Purpose: a real server on an ephemeral port for tests, with calls that read like the API. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog, type Clock } from "@daicho/kernel";
import { createServer, type Server } from "../app.ts";
import type { ServerConfig } from "../config.ts";
import type { ApiRole } from "../modules/access/index.ts";
import type { TestStore } from "./stores.ts";

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; whoever reads it knows its shape. */
  json<T = Record<string, unknown>>(): T;
}

export interface TestServer {
  readonly server: Server;
  readonly url: string;
  readonly data: string;
  api(
    method: string,
    path: string,
    options?: {
      readonly body?: string;
      readonly type?: string;
      readonly json?: unknown;
      readonly headers?: object;
      readonly as?: ApiRole | "nobody";
    },
  ): Promise<ApiAnswer>;
  enrollmentToken(uses?: number): Promise<string>;
  stop(): Promise<void>;
}

export async function startServer(
  store: TestStore,
  config: Partial<ServerConfig> & Pick<ServerConfig, "role">,
  clock?: Clock,
): Promise<TestServer> {
  const data = mkdtempSync(join(tmpdir(), "daicho-server-"));
  const server = await createServer({
    config: {
      name: "acme",
      listen: "127.0.0.1:0",
      database: await store.url(),
      data,
      reports: { queue: 4000, group: 100, newTitles: 100_000 },
      heartbeatSeconds: 3600,
      ...config,
    },
    log: silentLog,
    ...(clock && { clock }),
  });
  const { url } = await server.start();
  const tokens = new Map<ApiRole, string>();
  const tokenFor = async (role: ApiRole): Promise<string> => {
    const known = tokens.get(role) ?? (await server.access.createApiToken({ name: role, role })).token;
    tokens.set(role, known);
    return known;
  };
  return {
    server,
    url,
    data,
    async api(method, path, options = {}) {
      const role = options.as ?? "admin";
      const body = options.json === undefined ? options.body : JSON.stringify(options.json);
      const type = options.type ?? (options.json === undefined ? undefined : "application/json");
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(role !== "nobody" && { authorization: `Bearer ${await tokenFor(role)}` }),
          ...(type !== undefined && { "content-type": type }),
          ...options.headers,
        },
        ...(body !== undefined && { body }),
      });
      const text = await answer.text();
      return { status: answer.status, headers: answer.headers, text, json: <T>() => JSON.parse(text) as T };
    },
    async enrollmentToken(uses) {
      return (await server.access.createEnrollmentToken(uses === undefined ? {} : { uses })).token;
    },
    async stop() {
      await server.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Waits until the question is answered with something; fails with what it waited for. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = Date.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
