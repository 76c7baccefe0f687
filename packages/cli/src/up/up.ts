/**
 * Purpose: `daicho up`: the whole of Daicho on one machine. The group publishes, the company receives and generates, the relay carries,
 * the agent scans this very machine and reports, the company counts, the group sees the company's position. Nothing here counts,
 * matches or shortens the way: the nodes talk over sockets as they would across a building.
 * Failure: whatever was started is stopped again; everything lies under one directory and a start with it goes on where it was.
 */
import { join } from "node:path";
import { createLog, oneLine } from "@daicho/kernel";
import { createApiClient, Refused, type ApiClient } from "../client/client.ts";
import type { Outcome } from "../command.ts";
import type { UpOptions } from "../commands/up.ts";
import { cliErrors } from "../errors.ts";
import { say, type Io } from "../io.ts";
import { untilAborted } from "../nodes/run.ts";
import { pause } from "../pause.ts";
import { tableLines, type Cell } from "../output/table.ts";
import { positionColumns } from "../report/report.ts";
import { openUpDirectory, type UpDirectory } from "./directory.ts";
import { companyName, startAgent, startCorporate, startGroup, startRelay } from "./nodes.ts";
import { starterPolicy } from "./policy-file.ts";
import { demandFree, portBeside } from "./ports.ts";

const patienceSeconds = 120;

export async function up(options: UpOptions, io: Io): Promise<Outcome> {
  await demandFree(options.port);
  const stop = io.stopSignal();
  const directory = await openUpDirectory(options.data);
  /** Undone in the reverse order. */
  const undo: (() => Promise<void>)[] = [() => directory.release()];
  try {
    const company = await bringUp(options, directory, undo, stop, io);
    if (company === undefined) return options.once === true ? 1 : 0;
    await present(options, company, directory, io);
    if (options.once !== true) await untilAborted(stop);
    return 0;
  } finally {
    if (options.once !== true) await say(io.err, "Stopping.");
    await undoAll(undo);
  }
}

async function undoAll(undo: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (let step = undo.pop(); step !== undefined; step = undo.pop())
    await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw new Error(failures.map(oneLine).join("; "), { cause: failures[0] });
}

interface Up {
  readonly url: string;
  readonly client: ApiClient;
}

/** undefined where it was asked to stop before the round trip was complete. */
async function bringUp(
  options: UpOptions,
  dir: UpDirectory,
  undo: (() => Promise<void>)[],
  stop: AbortSignal,
  io: Io,
): Promise<Up | undefined> {
  const log = createLog({}, io.env["DAICHO_LOG_LEVEL"] ?? "info", join(dir.path, "daicho.log"));
  const until = (step: string, ask: () => Promise<boolean>): Promise<boolean> =>
    patiently(step, ask, stop, join(dir.path, "daicho.log"));

  const group = await startGroup(dir, await portBeside(options.port, 1), log);
  undo.push(() => group.server.stop());
  const groupApi = await createApiClient({ server: group.url, token: group.adminToken });
  await publishStarter(groupApi, group.url, io);

  const company = await startCorporate(dir, options.port, group, log);
  undo.push(() => company.server.stop());
  const api = await createApiClient({ server: company.url, token: company.adminToken });
  await say(io.err, `company     ${company.url}  enrols with the group and receives the policy`);
  if (!(await until("the company's dictionary", async () => company.server.policies.current().generation > 0)))
    return undefined;
  const { generation } = company.server.policies.current();

  const relay = await startRelay(dir, await portBeside(options.port, 2), company, log);
  undo.push(() => relay.stop());
  await say(io.err, `relay       ${relay.url}  carries dictionary version ${generation}`);

  const since = Date.now();
  const agent = await startAgent(dir, relay.url, company, log);
  undo.push(() => agent.stop());
  // Started again, it has its last scan and scans anew in its slot.
  const isFirst = agent.status()?.titles === undefined;
  if (isFirst) await say(io.err, "agent       scans this machine");
  const scanned = await until("the scan of this machine", async () => agent.status()?.titles !== undefined);
  if (!scanned) return undefined;
  const { titles = 0, lastScanAt = "" } = agent.status() ?? {};
  await say(
    io.err,
    `agent       ${isFirst ? "has found" : `knows from its scan at ${lastScanAt}`} ${titles} titles and reports`,
  );

  const isCounted = (): Promise<boolean> => counts(api, agent.status()?.device, since);
  if (!(await until("the count of this machine", isCounted))) return undefined;
  await say(io.err, `company     has counted this machine`);
  if (!(await until("the company's position at the group", () => groupHolds(groupApi, api)))) return undefined;
  await say(io.err, `group       ${group.url}  holds the company's position`);
  return { url: company.url, client: api };
}

/** Publishes the policy that ships with Daicho, unless the group has one already. */
async function publishStarter(api: ApiClient, url: string, io: Io): Promise<void> {
  const held = await policyVersion(api);
  if (held !== undefined) return say(io.err, `group       ${url}  has its enterprise policy, version ${held}`);
  await api.send("PUT", "/api/v1/policies/enterprise", { type: "application/yaml", bytes: await starterPolicy() });
  await say(io.err, `group       ${url}  has published the starter policy`);
}

async function policyVersion(api: ApiClient): Promise<number | undefined> {
  const { body } = await api.get("/api/v1/policies");
  const { items } = body as { items: readonly { edition: string; version: number }[] };
  return items.find((item) => item.edition === "enterprise")?.version;
}

/** A report of this run is in. The agent reports only after it has answered the dictionary in force, so what counts is up to date. */
async function counts(api: ApiClient, device: string | undefined, since: number): Promise<boolean> {
  if (device === undefined) return false;
  try {
    const { lastSeenAt } = (await api.get(`/api/v1/devices/${device}`)).body as { lastSeenAt?: string };
    return lastSeenAt !== undefined && Date.parse(lastSeenAt) >= since;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return false;
    throw error;
  }
}

/** The group has seen the very version of the position that the company would answer now. */
async function groupHolds(groupApi: ApiClient, api: ApiClient): Promise<boolean> {
  const own = (await api.get("/api/v1/positions", { limit: 1 })).body as { version?: number };
  const { items } = (await groupApi.get("/api/v1/companies")).body as {
    items: readonly { name: string; version?: number }[];
  };
  const held = items.find(({ name }) => name === companyName)?.version;
  return held !== undefined && held >= (own.version ?? 0);
}

/** false where it was asked to stop. @throws round-trip-missing */
async function patiently(step: string, ask: () => Promise<boolean>, stop: AbortSignal, log: string): Promise<boolean> {
  const end = performance.now() + patienceSeconds * 1000;
  while (!stop.aborted) {
    if (await ask()) return true;
    if (performance.now() > end) throw cliErrors.make("round-trip-missing", { step, seconds: patienceSeconds, log });
    await pause(150, stop);
  }
  return false;
}

async function present(options: UpOptions, { url, client }: Up, dir: UpDirectory, io: Io): Promise<void> {
  const items: Record<string, unknown>[] = [];
  for await (const page of client.pages("/api/v1/positions")) items.push(...page.items);
  if (options.json === true) {
    await say(io.out, JSON.stringify({ items }, undefined, 2));
    if (options.once === true) return;
  } else {
    // What is neither used nor held says nothing about this company.
    const shown = items.filter((item) => item["used"] !== 0 || (typeof item["held"] === "number" && item["held"] > 0));
    const rows = shown.map((item) => positionColumns.map(({ field }) => item[field] as Cell));
    await say(io.out, "");
    for (const line of tableLines(positionColumns, rows)) await say(io.out, line);
    await say(io.out, "");
  }
  const words = [
    `Console     ${url}/`,
    `Log in      with the administrator's token; this shows it: cat ${join(dir.path, "admin-token")}`,
    ...(options.once === true
      ? []
      : [
          `Command     export DAICHO_SERVER=${url} DAICHO_TOKEN=$(cat ${join(dir.path, "admin-token")})`,
          `Log         ${join(dir.path, "daicho.log")}`,
          "Stop        Ctrl-C",
        ]),
  ];
  for (const line of words) await say(options.json === true ? io.err : io.out, line);
}
