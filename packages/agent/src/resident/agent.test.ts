import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualClock, silentLog, type ManualClock } from "@daicho/kernel";
import { stateDigest, unpackMachine, unpackProbes, type Title } from "@daicho/protocol";
import { afterEach, describe, expect, it, vi } from "vitest";
import { pack } from "../report/compose.ts";
import { factsFile } from "../report/facts.ts";
import { createAgent, type Agent } from "./agent.ts";
import { loadAgentConfig, type AgentConfig } from "./config.ts";
import { createCompany, type Company } from "./fixtures/company.ts";
import type { Pusher } from "./fixtures/websocket.ts";
import type { ScanAnswer, ScanPort, ScanRequest } from "./scan-port.ts";
import { agentStatus } from "./status.ts";

const start = Date.UTC(2026, 10, 1);
const soon = { timeout: 20_000, interval: 10 };
const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

interface Machine {
  titles: Title[];
  /** Machine probes that hold on it. */
  holds: Set<string>;
  fails: boolean;
  readonly requests: ScanRequest[];
  readonly scan: ScanPort;
}

/** A machine whose scan answers at once; reads the dictionary as the child process does. */
function machine(...names: string[]): Machine {
  const it: Machine = {
    titles: names.map((name) => ({ name, version: "1", source: "dpkg" })),
    holds: new Set(['file(name = "a.exe")']),
    fails: false,
    requests: [],
    async scan(request): Promise<ScanAnswer> {
      it.requests.push(request);
      if (it.fails) throw Object.assign(new Error("no"), { code: "scan-failed" });
      const file = request.dictionaryFile;
      const document = file && (JSON.parse(readFileSync(file, "utf8")) as { document: { payload: string } }).document;
      const dictionary = document
        ? (JSON.parse(document.payload) as { version: number; software: { detect: string }[] })
        : { version: 0, software: [] };
      const probes = dictionary.software.map((one) => one.detect);
      const asked =
        request.kind === "scan" ? probes : probes.filter((probe) => request.known?.includes(probe) !== true);
      const hits = asked.filter((probe) => it.holds.has(probe)).map((probe) => ({ probe, found: { path: "/x" } }));
      const inventory = {
        daicho: "inventory/v1" as const,
        device: { hostname: "pc01" },
        hardware: { serial: "C02XY12345" },
        software: it.titles,
      };
      const common = { hits, probes, dictionary: dictionary.version, errors: [] };
      return request.kind === "scan" ? { inventory, ...common } : common;
    },
  };
  return it;
}

const definition = (letter: string) => ({ code: `@${letter}1`, name: letter, detect: `file(name = "${letter}.exe")` });

interface Setting {
  readonly company: Company;
  readonly pusher: Pusher;
  readonly clock: ManualClock;
  readonly data: string;
  readonly config: AgentConfig;
  agent(of: Machine, overrides?: Partial<AgentConfig>): Agent;
}

async function setting(options: { upstreamsBefore?: string[]; token?: boolean } = {}): Promise<Setting> {
  const company = createCompany();
  const clock = manualClock(start);
  const listener = await company.listen(() => clock.now());
  const data = mkdtempSync(join(tmpdir(), "daicho-agent-"));
  ending.push(() => rmSync(data, { recursive: true, force: true }), listener.close);
  const config = loadAgentConfig({
    env: {},
    flags: {
      upstream: [...(options.upstreamsBefore ?? []), listener.url],
      data,
      ...(options.token !== false && { enrollmentToken: company.token }),
    },
  });
  return {
    company,
    pusher: listener.pusher,
    clock,
    data,
    config,
    agent(of, overrides = {}) {
      const agent = createAgent({
        config: { ...config, ...overrides },
        clock,
        log: silentLog,
        scan: of.scan,
        random: () => 0.5,
      });
      ending.push(() => agent.stop());
      return agent;
    },
  };
}

/** Does the server hold exactly what the agent's last scan found? */
async function expectHeld({ company, data, clock }: Setting): Promise<void> {
  let looks = 0;
  await vi.waitFor(async () => {
    // A jump of the clock in the middle of a request can make its credential stale; then it waits for its time.
    if (looks++ > 20) clock.advance(60_000);
    const facts = await factsFile(data).load();
    const device = (await agentStatus(data)).device;
    const held = company.devices.get(device)?.held;
    expect(held && stateDigest(held.state)).toBe(facts && stateDigest(pack(facts).state));
  }, soon);
}
const kinds = (company: Company): string[] => company.headers.map((header) => header.kind);

describe("one round (agent run once)", () => {
  it("enrolls with the machine's evidence, follows the dictionary, reports, and has everything stored", async () => {
    const s = await setting();
    s.company.publish(3, [definition("a"), definition("b")]);
    const pc = machine("libreoffice", "vim");
    expect(await s.agent(pc).runOnce()).toMatchObject({ stored: true });
    expect(s.company.enrolled).toMatchObject([{ kind: "agent", name: "pc01", evidence: { serial: "C02XY12345" } }]);
    expect(kinds(s.company)).toEqual(["full"]);
    await expectHeld(s);
    const held = [...s.company.devices.values()][0]?.held;
    expect(held && unpackMachine(held.state.machine).probesVersion).toBe(3);
    expect(held && unpackProbes(held.state.probes).map((hit) => hit.probe)).toEqual(['file(name = "a.exe")']);
  });

  it("the next round says only what is new, under the same identity", async () => {
    const s = await setting();
    const pc = machine("vim");
    const first = await s.agent(pc).runOnce();
    const second = await s.agent(pc).runOnce();
    pc.titles.push({ name: "emacs", version: "29", source: "dpkg" });
    await s.agent(pc).runOnce();
    expect(second.device).toBe(first.device);
    expect(kinds(s.company)).toEqual(["full", "heartbeat", "delta"]);
    expect(s.company.enrolled).toHaveLength(1);
    await expectHeld(s);
  });

  it("goes to the next upstream when the first is not there", async () => {
    const s = await setting({ upstreamsBefore: ["http://127.0.0.1:9"] });
    expect(await s.agent(machine("vim")).runOnce()).toMatchObject({ stored: true });
  });

  it("names what stands in the way when its time is over, and keeps the report", async () => {
    const s = await setting();
    s.company.refuse = (path) =>
      path.endsWith("reports") ? { status: 503, code: "overloaded", headers: { "retry-after": "600" } } : undefined;
    const result = await s.agent(machine("vim")).runOnce({ deadlineMs: 1_000 });
    expect(result).toMatchObject({ stored: false, code: "overloaded" });
    expect((await agentStatus(s.data)).spool.records).toBe(1);
  });

  it("without a token says so", async () => {
    const s = await setting({ token: false });
    await expect(s.agent(machine("vim")).runOnce()).rejects.toMatchObject({ code: "token-missing" });
  });
});

describe("the resident", () => {
  async function running(s: Setting, pc: Machine, overrides?: Partial<AgentConfig>): Promise<Agent> {
    const agent = s.agent(pc, overrides);
    await agent.start();
    await vi.waitFor(() => expect(s.company.headers.length).toBeGreaterThan(0), soon);
    await settled(agent);
    return agent;
  }
  const settled = (agent: Agent): Promise<void> =>
    vi.waitFor(() => expect(agent.status()).toMatchObject({ enrolled: true, spool: { records: 0 } }), soon);

  it("reports at once when new, then beats, then scans in its slot", async () => {
    const s = await setting();
    const pc = machine("vim");
    const agent = await running(s, pc);
    expect(kinds(s.company)).toEqual(["full"]);
    s.clock.advance(3_600_000);
    await vi.waitFor(() => expect(kinds(s.company)).toContain("heartbeat"), soon);
    await settled(agent);
    pc.titles.push({ name: "emacs", version: "29", source: "dpkg" });
    for (let hours = 0; hours < 8; hours++) {
      s.clock.advance(3_600_000);
      await settled(agent);
    }
    await vi.waitFor(() => expect(kinds(s.company)).toContain("delta"), soon);
    await settled(agent);
    await expectHeld(s);
  });

  it("keeps reports while nobody answers, obeys Retry-After, and delivers in order", async () => {
    const s = await setting();
    const pc = machine("vim");
    const agent = await running(s, pc);
    s.company.refuse = (path) =>
      path.endsWith("reports") ? { status: 503, code: "overloaded", headers: { "retry-after": "3600" } } : undefined;
    const asked = () => s.company.asked.get("/ingest/v1/reports") ?? 0;
    const before = asked();
    s.clock.advance(3_600_000);
    await vi.waitFor(() => expect(asked()).toBe(before + 1), soon);
    await vi.waitFor(() => expect(agent.status()?.lastError?.code).toBe("overloaded"), soon);
    s.clock.advance(3_599_000);
    s.company.refuse = undefined;
    expect(asked()).toBe(before + 1);
    expect(agent.status()?.spool.records).toBe(1);
    await vi.waitFor(() => {
      s.clock.advance(600_000);
      expect(agent.status()?.spool.records).toBe(0);
    }, soon);
    await vi.waitFor(() => expect(agent.status()?.lastError).toBeUndefined(), soon);
    await expectHeld(s);
  });

  it("a new dictionary asks only the probes that are new", async () => {
    const s = await setting();
    s.company.publish(1, [definition("a"), definition("b")]);
    const pc = machine("vim");
    for (const letter of ["b", "c"]) pc.holds.add(`file(name = "${letter}.exe")`);
    // No whole scan in between: it would ask everything.
    const agent = await running(s, pc, { scan: { ...s.config.scan, every: "99999d" } });
    s.company.publish(2, [definition("a"), definition("c")]);
    // Any answer from above tells the version; no push is needed.
    s.clock.advance(3_600_000);
    await vi.waitFor(() => {
      s.clock.advance(60_000);
      expect(agent.status()?.dictionary).toBe(2);
    }, soon);
    await vi.waitFor(() => expect(kinds(s.company)).toContain("delta"), soon);
    await settled(agent);
    const partial = pc.requests.filter((request) => request.kind === "probes").at(-1);
    expect(partial?.known).toEqual(['file(name = "a.exe")', 'file(name = "b.exe")']);
    await expectHeld(s);
    const held = [...s.company.devices.values()][0]?.held;
    expect(held && unpackProbes(held.state.probes).map((hit) => hit.probe)).toEqual([
      'file(name = "a.exe")',
      'file(name = "c.exe")',
    ]);
  });

  it("refuses a dictionary that is altered, older or another one of the same version, keeps the good one and says so upward", async () => {
    const s = await setting();
    s.company.publish(5, [definition("a")]);
    const agent = await running(s, machine("vim"));
    expect(agent.status()?.dictionary).toBe(5);
    const altered = s.company.signed(6, [definition("a")]).replace("a.exe", "b.exe");
    const evil = createCompany("acme").signed(6, [definition("a")]);
    for (const [body, code] of [
      [altered, "document-altered"],
      [s.company.signed(4, [definition("a")]), "document-older"],
      [s.company.signed(5, [definition("b")]), "document-older"],
      [evil, "document-unknown-key"],
    ] as const) {
      s.company.statuses.length = 0;
      s.company.dictionary = { body, etag: `"${code}${body.length}"`, version: 6 };
      await vi.waitFor(() => {
        s.clock.advance(600_000);
        expect(s.company.statuses.at(-1)).toMatchObject({ state: "failed", dictionary: 5, reason: { code } });
      }, soon);
      expect(agent.status()).toMatchObject({ dictionary: 5 });
      const kept = JSON.parse(readFileSync(join(s.data, "dictionary.json"), "utf8")) as { etag: string };
      expect(kept.etag).toBe('"v5"');
    }
    s.company.statuses.length = 0;
    s.company.publish(6, [definition("a")]);
    await vi.waitFor(() => {
      s.clock.advance(600_000);
      expect(s.company.statuses.at(-1)).toMatchObject({ state: "complete", dictionary: 6 });
    }, soon);
  });

  it("says that a refused dictionary is over also when it was started again in between", async () => {
    const s = await setting();
    s.company.publish(5, [definition("a")]);
    const pc = machine("vim");
    const agent = await running(s, pc);
    const body = s.company.signed(6, [definition("a")]).replace("a.exe", "b.exe");
    s.company.dictionary = { body, etag: '"altered"', version: 6 };
    await vi.waitFor(() => {
      s.clock.advance(600_000);
      expect(s.company.statuses.at(-1)).toMatchObject({ state: "failed" });
    }, soon);
    await agent.stop();
    s.company.publish(6, [definition("a")]);
    await running(s, pc);
    await vi.waitFor(() => {
      s.clock.advance(600_000);
      expect(s.company.statuses.at(-1)).toMatchObject({ state: "complete", dictionary: 6 });
    }, soon);
  });

  it("answers need-full with a full report", async () => {
    const s = await setting();
    const agent = await running(s, machine("vim"));
    const [server] = s.company.devices.values();
    if (server !== undefined) server.held = undefined; // A server restored from an old backup.
    await vi.waitFor(() => {
      s.clock.advance(600_000);
      expect(kinds(s.company).filter((kind) => kind === "full")).toHaveLength(2);
    }, soon);
    await settled(agent);
    await expectHeld(s);
  });

  it("hears the channel: a policy that changed, scan now, need full - each within seconds", async () => {
    const s = await setting();
    const pc = machine("vim");
    const agent = await running(s, pc, { heartbeat: "30d" });
    await vi.waitFor(() => expect(agent.status()?.connected).toBe(true), soon);
    const device = agent.status()?.device ?? "";
    s.company.publish(1, [definition("a")]);
    const before = s.clock.now();
    s.pusher.push({ type: "policy-changed", dictionary: 1 });
    await within3s(() => expect(agent.status()?.dictionary).toBe(1));
    await within3s(() => expect(kinds(s.company)).toEqual(["full", "delta"]));
    pc.titles.push({ name: "emacs", version: "29", source: "dpkg" });
    s.pusher.push({ type: "scan-now", devices: [device] });
    await within3s(() => expect(kinds(s.company)).toEqual(["full", "delta", "delta"]));
    s.pusher.push({ type: "scan-now" });
    await within3s(() => expect(kinds(s.company).at(-1)).toBe("heartbeat"));
    expect(s.clock.now() - before).toBeLessThanOrEqual(20_000);
    s.clock.advance(30_000);
    const beats = () => kinds(s.company).filter((kind) => kind === "heartbeat").length;
    const beatsBefore = beats();
    s.pusher.push({ type: "need-full", devices: ["0".repeat(32)] }); // Another device's.
    s.pusher.push({ type: "scan-now", devices: [device] });
    await within3s(() => expect(beats()).toBe(beatsBefore + 1));
    await settled(agent);
    s.pusher.push({ type: "need-full", devices: [device] });
    await within3s(() => expect(kinds(s.company).filter((kind) => kind === "full")).toHaveLength(2));
    await expectHeld(s);
    // Pushed again at once: that full is on its way already; but texts that are missing are sent all the same.
    await settled(agent);
    const asked = () => s.company.asked.get("/ingest/v1/titles") ?? 0;
    const askedBefore = asked();
    s.pusher.push({ type: "need-full", devices: [device] });
    s.pusher.push({ type: "need-full", devices: [device], code: "titles-unknown" });
    await within3s(() => expect(kinds(s.company).filter((kind) => kind === "full")).toHaveLength(3));
    expect(asked()).toBe(askedBefore);
    await settled(agent);
    await expectHeld(s);

    async function within3s(check: () => void): Promise<void> {
      let left = 3_000;
      await vi.waitFor(() => {
        if (left > 0) s.clock.advance(100);
        left -= 100;
        check();
      }, soon);
    }
  });

  it("whose key another machine uses goes on under a new one, and keeps the old one aside", async () => {
    const s = await setting();
    const agent = await running(s, machine("vim"));
    const old = agent.status()?.device;
    s.company.verdict = (header) =>
      header.device === old ? { status: "rejected", code: "identity-cloned" } : undefined;
    await vi.waitFor(() => {
      s.clock.advance(600_000);
      expect(agent.status()?.device).not.toBe(old);
      const ofNew = s.company.headers.filter((header) => header.device === agent.status()?.device);
      expect(ofNew[0]).toMatchObject({ kind: "full" });
    }, soon);
    await settled(agent);
    await expectHeld(s);
    expect(readdirSync(s.data).filter((name) => name.includes("aside"))).toHaveLength(2);
    expect(s.company.enrolled).toHaveLength(2);
  });

  it("that the server does not know keeps everything, says so, and comes again slowly", async () => {
    const s = await setting();
    const agent = await running(s, machine("vim"));
    s.company.verdict = () => ({ status: "rejected", code: "device-unknown" });
    await vi.waitFor(() => {
      s.clock.advance(600_000);
      expect(agent.status()?.lastError?.code).toBe("device-unknown");
    }, soon);
    expect(agent.status()?.spool.records).toBe(1);
    const asked = s.company.headers.length;
    s.clock.advance(600_000);
    expect(s.company.headers).toHaveLength(asked);
    s.company.verdict = undefined;
    await vi.waitFor(() => {
      s.clock.advance(600_000);
      expect(agent.status()?.spool.records).toBe(0);
    }, soon);
    await expectHeld(s);
  });

  it("shows the last five messages of the company in its status, also after it was started again", async () => {
    const s = await setting();
    const agent = await running(s, machine("vim"));
    await vi.waitFor(() => expect(agent.status()?.connected).toBe(true), soon);
    expect(agent.status()).not.toHaveProperty("messages");
    for (let n = 1; n <= 7; n++) s.pusher.push({ type: "message", text: `message ${n}` });
    const shown = [3, 4, 5, 6, 7].map((n) => expect.objectContaining({ text: `message ${n}` }) as object);
    await vi.waitFor(async () => expect((await agentStatus(s.data)).messages).toEqual(shown), soon);
    await agent.stop();
    const next = await running(s, machine("vim"));
    expect(next.status()?.messages).toEqual(shown);
  });

  it("comes when it was told to come", async () => {
    const s = await setting();
    s.company.extra = { nextContactSeconds: 100 };
    const agent = await running(s, machine("vim"), { heartbeat: "30d" });
    for (let beats = 1; beats <= 3; beats++) {
      const told = new Date(s.clock.now() + 100_000).toISOString();
      await vi.waitFor(() => expect(agent.status()?.nextContactAt).toBe(told), soon);
      s.clock.advance(99_000);
      expect(kinds(s.company)).toHaveLength(beats);
      s.clock.advance(1_000);
      await vi.waitFor(() => expect(kinds(s.company)).toHaveLength(beats + 1), soon);
    }
  });

  it("cannot be told to stay away for longer than from scan to scan, nor to come every second", async () => {
    const s = await setting();
    s.company.extra = { nextContactSeconds: 1e9 };
    const agent = await running(s, machine("vim"), { heartbeat: "30d" });
    const scanEvery = 6 * 3_600_000;
    await vi.waitFor(
      () => expect(agent.status()?.nextContactAt).toBe(new Date(s.clock.now() + scanEvery).toISOString()),
      soon,
    );
    s.company.extra = { nextContactSeconds: 0 };
    s.clock.advance(scanEvery);
    await vi.waitFor(
      () => expect(agent.status()?.nextContactAt).toBe(new Date(s.clock.now() + 60_000).toISOString()),
      soon,
    );
  });

  it("enrolls as soon as a token is there", async () => {
    const s = await setting({ token: false });
    const tokenFile = join(s.data, "token");
    const agent = s.agent(machine("vim"), { enrollmentTokenFile: tokenFile });
    await agent.start();
    await vi.waitFor(() => expect(agent.status()?.lastError?.code).toBe("token-missing"), soon);
    writeFileSync(tokenFile, `${s.company.token}\n`);
    await vi.waitFor(() => {
      s.clock.advance(600_000);
      expect(agent.status()?.enrolled).toBe(true);
    }, soon);
    await vi.waitFor(() => expect(kinds(s.company)[0]).toBe("full"), soon);
    await vi.waitFor(() => expect(agent.status()?.lastError).toBeUndefined(), soon);
  });

  it("survives scans that fail", async () => {
    const s = await setting();
    const pc = machine("vim");
    pc.fails = true;
    const agent = s.agent(pc);
    await agent.start();
    await vi.waitFor(
      () => expect(agent.status()).toMatchObject({ enrolled: true, lastError: { code: "scan-failed" } }),
      soon,
    );
    expect(s.company.headers).toEqual([]);
    pc.fails = false;
    await vi.waitFor(() => {
      s.clock.advance(300_000);
      expect(kinds(s.company)[0]).toBe("full");
    }, soon);
  });

  it("leaves a second agent no way into its data, and another after it goes on where it stopped", async () => {
    const s = await setting();
    const pc = machine("vim");
    const agent = await running(s, pc);
    await expect(s.agent(pc).start()).rejects.toMatchObject({ code: "spool-locked" });
    await agent.stop();
    expect(await agentStatus(s.data)).toMatchObject({ running: false, enrolled: true, titles: 1 });
    await running(s, pc);
    await vi.waitFor(() => expect(kinds(s.company)).toEqual(["full", "heartbeat"]), soon);
  });

  it("status of a directory without an agent is an error that names it", async () => {
    await expect(agentStatus("/nowhere/at/all")).rejects.toMatchObject({ code: "agent-data-missing" });
  });
});
