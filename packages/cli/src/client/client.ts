/**
 * Purpose: talks to a server's `/api/v1` as any script would: token, JSON, pages.
 * Invariants: the token appears in no message; what a server refuses is an error with the server's own code and advice.
 */
import { DaichoError, inWords } from "@daicho/kernel";
import type { Problem } from "@daicho/protocol";
import type { ClientOptions } from "../command.ts";
import { cliErrors } from "../errors.ts";
import { readBytes } from "../files/read.ts";
import { pause } from "../pause.ts";

export interface Answer {
  readonly status: number;
  /** The body as JSON; undefined where there is none. */
  readonly body: unknown;
}

export interface Page {
  readonly items: readonly Record<string, unknown>[];
  readonly nextCursor?: string;
  readonly [field: string]: unknown;
}

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface RequestBody {
  readonly type: string;
  readonly bytes: string | Uint8Array;
}

export interface ApiClient {
  readonly server: string;
  get(path: string, query?: Query): Promise<Answer>;
  /** Tries again while the server has no room, as long as it says when to come back. */
  send(method: "POST" | "PUT", path: string, body: RequestBody, query?: Query): Promise<Answer>;
  /** All pages of a list. */
  pages(path: string, query?: Query): AsyncGenerator<Page>;
}

const busyTries = 20;
const longestPauseSeconds = 60;

/** @throws server-not-named, token-not-given, file-unreadable */
export async function createApiClient(options: ClientOptions): Promise<ApiClient> {
  const server = serverUrl(options.server);
  const { token } = options;
  if (token === undefined || token === "") throw cliErrors.make("token-not-given");
  const fetchHere = await createFetch(options.ca);

  async function once(method: string, path: string, query: Query, body?: RequestBody): Promise<Response> {
    const url = new URL(`${server}${path}`);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    try {
      return await fetchHere(url, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/json",
          ...(body && { "content-type": body.type }),
        },
        // undici takes any bytes; TypeScript's DOM types want to know whose buffer it is.
        ...(body && { body: body.bytes as string }),
      });
    } catch (error) {
      throw cliErrors.make("server-unreachable", { server, reason: reasonOf(error) }, { cause: error });
    }
  }

  async function request(method: string, path: string, query: Query = {}, body?: RequestBody): Promise<Answer> {
    for (let left = busyTries; ; left--) {
      const response = await once(method, path, query, body);
      const text = await response.text().catch((error: unknown) => {
        throw cliErrors.make("server-unreachable", { server, reason: reasonOf(error) }, { cause: error });
      });
      const value = parse(text);
      if (response.ok) {
        if (value === undefined && text !== "") throw cliErrors.make("answer-invalid", { server, reason: "not JSON" });
        return { status: response.status, body: value };
      }
      const after = Number(response.headers.get("retry-after"));
      if ((response.status === 503 || response.status === 429) && after > 0 && left > 1) {
        await pause(Math.min(after, longestPauseSeconds) * 1000);
        continue;
      }
      throw refusal(server, response.status, value);
    }
  }

  return {
    server,
    get: (path, query) => request("GET", path, query),
    send: (method, path, body, query) => request(method, path, query, body),
    async *pages(path, query = {}) {
      let cursor: string | undefined;
      do {
        const { body } = await request("GET", path, { ...query, ...(cursor !== undefined && { cursor }) });
        const page = body as Partial<Page> | undefined;
        if (!Array.isArray(page?.items)) throw cliErrors.make("answer-invalid", { server, reason: "no list of items" });
        yield page as Page;
        cursor = page.nextCursor;
      } while (cursor !== undefined);
    },
  };
}

/** What the server refused, as an error that carries the whole problem document. */
export class Refused extends DaichoError {
  readonly problem: Problem;
  constructor(problem: Problem) {
    const entry = { status: problem.status, message: problem.title, action: problem.action ?? "" };
    super(problem.code, entry, {}, {});
    this.problem = problem;
  }
}

function refusal(server: string, status: number, value: unknown): DaichoError {
  const problem = value as Partial<Problem> | undefined;
  if (typeof problem?.code === "string" && typeof problem.title === "string")
    return new Refused({ ...problem, status } as Problem);
  return cliErrors.make("answer-invalid", { server, reason: `HTTP ${status}` });
}

export function serverUrl(text: string | undefined): string {
  if (text === undefined || text === "") throw cliErrors.make("server-not-named");
  if (!/^https?:\/\/[^/\s]+/.test(text) || !URL.canParse(text))
    throw cliErrors.make("server-unreachable", { server: text, reason: "no http:// or https:// address" });
  return text.replace(/\/+$/, "");
}

/** The platform's fetch; undici's own where a certificate authority of the company has to be trusted. */
export async function createFetch(ca: string | undefined): Promise<typeof fetch> {
  if (ca === undefined) return fetch;
  const { Agent, fetch: undiciFetch } = await import("undici");
  const dispatcher = new Agent({ connect: { ca: (await readBytes(ca)).toString("utf8") } });
  return ((url: URL, init: object) => undiciFetch(url, { ...init, dispatcher })) as unknown as typeof fetch;
}

/** What lies at the bottom: ECONNREFUSED, ENOTFOUND, CERT_HAS_EXPIRED with its words … */
export function reasonOf(error: unknown): string {
  let deepest = error;
  for (let depth = 0; depth < 5; depth++) {
    const cause = (deepest as { cause?: unknown } | undefined)?.cause;
    const inner = (cause as { errors?: unknown[] } | undefined)?.errors?.[0] ?? cause;
    if (inner === undefined) break;
    deepest = inner;
  }
  const { code, message } = deepest as { code?: unknown; message?: unknown };
  return typeof code === "string" ? inWords(code) : typeof message === "string" ? message.slice(0, 200) : "unknown";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
