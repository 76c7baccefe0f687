/**
 * Purpose: the resident agent: enrolls, scans in its slot, keeps the dictionary, reports, listens to the channel.
 * Invariants: work is done one piece after the other, so that facts, journal and dictionary never change under each other;
 * sending goes on beside it. After `start` nothing throws into the process: what goes wrong is logged, shown by
 * `daicho agent status`, and tried again. Everything pushed down the channel only hastens what a timer would do.
 * Stopping: the write under way is finished, a running scan is ended, nothing is lost.
 */
import { isDaichoError, wait, type Clock, type Log } from "@daicho/kernel";
import type { DownMessage, ReportsResponse } from "@daicho/protocol";
import { createChannel, fullJitter, type Channel } from "@daicho/uplink";
import { machineEvidence } from "../identity/evidence.ts";
import type { Verdict } from "../report/reporter.ts";
import { milliseconds, type AgentConfig } from "./config.ts";
import { openCore, type Core } from "./core.ts";
import { createDictionaryWatch } from "./dictionary-watch.ts";
import type { ScanPort } from "./scan-port.ts";
import { createAlarm, nextSlot } from "./schedule.ts";
import { createStatusWriter, readStatus, type AgentStatus, type Message } from "./status.ts";
import { createTroubles } from "./troubles.ts";
import { createWork } from "./work.ts";

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: a child process per scan. */
  readonly scan?: ScanPort;
  readonly random?: () => number;
}

export interface RunOnceResult {
  readonly device: string;
  /** Everything was taken by the node above. */
  readonly stored: boolean;
  /** Why not. */
  readonly code?: string;
}

export interface Agent {
  /** Opens everything, then works until `stop`. @throws what only an operator can mend: spool-locked, identity-unreadable … */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** One round without staying: enroll, dictionary, scan, report, all taken. @throws as `start`, and what enroll throws */
  runOnce(options?: { readonly deadlineMs?: number }): Promise<RunOnceResult>;
  status(): AgentStatus | undefined;
}

/** Pushed messages reach a whole fleet in one instant; what they start is spread over this. */
const pushSpreadMs = 3_000;
/** What only an administrator can change is tried again this slowly. */
const slowMs = 15 * 60_000;
const enrollBackoff = { baseMs: 5_000, capMs: 600_000 };
/** A full report that was just made answers a `need-full` that was pushed for an older one. */
const fullSettlesMs = 30_000;
const identityLastsMs = 24 * 3_600_000;
const soonestContactMs = 60_000;
const messagesKept = 5;

export function createAgent(options: AgentOptions): Agent {
  const { config, clock, log } = options;
  const random = options.random ?? Math.random;
  const dir = config.data;
  const every = milliseconds(config.scan.every, 60_000);
  const splay = milliseconds(config.scan.splay);
  const heartbeatEvery = milliseconds(config.heartbeat, 1_000);
  const stopping = new AbortController();
  const status = createStatusWriter({ dir, log, current: currentStatus });
  const statusChanged = (): void => status.changed();
  const troubles = createTroubles(clock, statusChanged);
  const dictionary = createDictionaryWatch({ troubles, clock, log, stopped: stopping.signal });
  let core: Core | undefined;
  let channel: Channel | undefined;
  let sending: Promise<void> | undefined;
  let resident: NodeJS.Timeout | undefined;
  let failedEnrollments = 0;
  let lastStoredAt: string | undefined;
  let lastFullAt = Number.NEGATIVE_INFINITY;
  let identityReplacedAt: string | undefined;
  let messages: readonly Message[] = [];

  const scanAlarm = createAlarm(clock, () => enqueue("scan", scanAndReport));
  const heartbeatAlarm = createAlarm(clock, () => enqueue("heartbeat", heartbeat));
  const dictionaryAlarm = createAlarm(clock, () => enqueue("dictionary", followDictionary));
  const repairAlarm = createAlarm(clock, () => enqueue("repair", repair));
  const enrollAlarm = createAlarm(clock, () => enqueue("enroll", joinCompany));
  const alarms = [scanAlarm, heartbeatAlarm, dictionaryAlarm, repairAlarm, enrollAlarm];

  const work = createWork({
    stopped: stopping.signal,
    onError: (task, error) => log.error("agent-task-failed", { task, code: troubles.note("report", error) }),
  });
  function enqueue(name: string, task: (c: Core) => Promise<void>): void {
    work.add(name, async () => {
      if (core !== undefined) await task(core);
    });
  }

  // --- the pieces of work -----------------------------------------------------------------------------------------

  async function begin(c: Core): Promise<void> {
    const { facts } = c.surveyor;
    const overdue = facts === undefined || clock.now() - Date.parse(facts.scannedAt) > every;
    // A machine that never was scanned says nothing before it has been; one that was off does not join the morning's rush.
    if (facts === undefined) await scan(c);
    setNextScan(c, facts !== undefined && overdue);
    await joinCompany(c);
  }

  /** Enrolls if need be, then takes up contact. */
  async function joinCompany(c: Core): Promise<void> {
    const { facts } = c.surveyor;
    if (c.membership.uplink === undefined)
      try {
        await c.membership.enroll(facts === undefined ? {} : machineEvidence(facts.inventory), stopping.signal);
        failedEnrollments = 0;
        troubles.clear("enroll");
        troubles.clear("identity");
      } catch (error) {
        const code = troubles.note("enroll", error);
        log.warn("agent-not-enrolled", { code });
        const asked = isDaichoError(error) ? (error.retryAfter ?? 0) * 1000 : 0;
        const patience =
          isDaichoError(error) && error.retryable ? fullJitter(failedEnrollments++, enrollBackoff, random) : slowMs;
        return enrollAlarm.set(clock.now() + Math.max(asked, patience));
      }
    const { root } = c.membership;
    if (root !== undefined) await c.surveyor.settleUnder(root);
    openChannel(c);
    if ((await dictionary.refresh(c)) && c.surveyor.facts !== undefined) await scanNew(c);
    // Before the report: its answer may say when to come next.
    setNextHeartbeat(c);
    await report(c);
  }

  async function scan(c: Core): Promise<boolean> {
    return survey(() => c.surveyor.scan(stopping.signal), "scan-ended");
  }
  async function scanNew(c: Core): Promise<boolean> {
    return survey(() => c.surveyor.scanNew(stopping.signal), "probes-ended");
  }
  async function survey(
    run: () => Promise<{ inventory: { software: readonly unknown[] } }>,
    event: string,
  ): Promise<boolean> {
    const since = clock.now();
    try {
      const { inventory } = await run();
      log.info(event, { titles: inventory.software.length, ms: clock.now() - since });
      troubles.clear("scan");
      return true;
    } catch (error) {
      if (!stopping.signal.aborted) log.error("scan-failed", { code: troubles.note("scan", error) });
      return false;
    }
  }

  async function scanAndReport(c: Core): Promise<void> {
    await dictionary.refresh(c);
    if (await scan(c)) await report(c);
    setNextScan(c, false);
  }

  async function followDictionary(c: Core): Promise<void> {
    if ((await dictionary.refresh(c)) && (await scanNew(c))) await report(c);
  }

  async function report(c: Core): Promise<void> {
    const { facts } = c.surveyor;
    // Before enrolling nothing is spooled: the first report then knows what the server knows.
    if (facts === undefined || c.membership.uplink === undefined) return;
    if ((await c.reporter.report(facts)) === "full") lastFullAt = clock.now();
    troubles.clear("report");
    c.sender.wake();
  }

  async function heartbeat(c: Core): Promise<void> {
    const { facts } = c.surveyor;
    setNextHeartbeat(c);
    if (facts === undefined || c.membership.uplink === undefined) return;
    if ((await c.reporter.heartbeat(facts)) !== undefined) c.sender.wake();
    troubles.clear("report");
  }

  async function repair(c: Core): Promise<void> {
    const { facts } = c.surveyor;
    if (facts === undefined) return;
    await c.reporter.repair(facts);
    lastFullAt = clock.now();
    c.sender.wake();
  }

  /** Pushed: may be about a report older than the full that is on its way already. */
  async function demandFull(c: Core, code: string | undefined): Promise<void> {
    if (clock.now() - lastFullAt < fullSettlesMs && code !== "titles-unknown") return;
    await c.reporter.demandFull(code === "titles-unknown" ? "all-texts" : "ask");
    repairAlarm.set(clock.now() + random() * pushSpreadMs);
  }

  async function replaceIdentity(c: Core): Promise<void> {
    const since = identityReplacedAt === undefined ? Number.NEGATIVE_INFINITY : Date.parse(identityReplacedAt);
    troubles.note("identity", "identity-cloned");
    // Once a day at most: whoever sits in between must not be able to wear out the company's tokens.
    if (Math.abs(clock.now() - since) < identityLastsMs) return;
    await channel?.close();
    channel = undefined;
    identityReplacedAt = new Date(clock.now()).toISOString();
    await c.replaceIdentity();
    await joinCompany(c);
  }

  // --- what is heard ------------------------------------------------------------------------------------------------

  function onAnswer(c: Core, response: ReportsResponse, verdict: Verdict): void {
    if (response.results.some(({ status }) => status === "stored" || status === "duplicate")) {
      lastStoredAt = new Date(clock.now()).toISOString();
      troubles.clear("send");
    }
    if (verdict.identity === "cloned") enqueue("identity", replaceIdentity);
    if (verdict.fullAfterMs !== undefined) repairAlarm.set(clock.now() + verdict.fullAfterMs);
    if ((response.dictionary ?? 0) > c.membership.dictionary.version) hasten(0);
    if (response.nextContactSeconds !== undefined) comeNextIn(response.nextContactSeconds * 1000);
    statusChanged();
  }

  function onMessage(c: Core, message: DownMessage): void {
    const { id } = c.membership.identity;
    switch (message.type) {
      case "hello":
      case "policy-changed":
        if (message.dictionary > c.membership.dictionary.version) hasten(random() * pushSpreadMs);
        return;
      case "scan-now":
        if (message.devices === undefined || message.devices.includes(id))
          scanAlarm.set(clock.now() + (message.devices === undefined ? random() * pushSpreadMs : 0));
        return;
      case "need-full":
        if (message.devices.includes(id))
          enqueue(`need-full ${message.code ?? ""}`, (core) => demandFull(core, message.code));
        return;
      case "message":
        log.info("message-received");
        messages = [...messages, { text: message.text, at: new Date(clock.now()).toISOString() }].slice(-messagesKept);
        statusChanged();
    }
  }

  /** Asks for the dictionary soon - but after a refusal not more than once a minute. */
  function hasten(afterMs: number): void {
    const at = clock.now() + (troubles.has("dictionary") ? 60_000 : afterMs);
    if (dictionaryAlarm.at === undefined || dictionaryAlarm.at > at) dictionaryAlarm.set(at);
  }

  function openChannel(c: Core): void {
    const { uplink } = c.membership;
    if (uplink === undefined || resident === undefined || channel !== undefined) return;
    channel = createChannel({
      uplink,
      clock,
      log,
      random,
      onMessage: (message) => onMessage(c, message),
      onState(connected) {
        if (connected) c.sender.reached();
        statusChanged();
      },
    });
  }

  // --- when -----------------------------------------------------------------------------------------------------------

  function setNextScan(c: Core, overdue: boolean): void {
    const now = clock.now();
    const slot = nextSlot(c.membership.identity.id, "scan", every, now) + random() * splay;
    const soon = now + random() * Math.min(splay, 600_000);
    // Without any facts there is nothing to report: that scan did not work, and is tried again before its slot.
    const first = c.surveyor.facts === undefined ? now + 600_000 : slot;
    scanAlarm.set(Math.min(slot, first, overdue ? soon : slot));
    statusChanged();
  }

  /** As a loaded node above asks - within bounds: it can neither silence this agent for longer than from scan to scan nor wear it out. */
  function comeNextIn(ms: number): void {
    const soonest = Math.min(heartbeatEvery, soonestContactMs);
    heartbeatAlarm.set(clock.now() + Math.max(soonest, Math.min(ms, every)));
  }

  function setNextHeartbeat(c: Core): void {
    heartbeatAlarm.set(nextSlot(c.membership.identity.id, "heartbeat", heartbeatEvery, clock.now()));
  }

  // --- status ---------------------------------------------------------------------------------------------------------

  function currentStatus(): AgentStatus | undefined {
    if (core === undefined) return undefined;
    const { membership, surveyor } = core;
    const { facts } = surveyor;
    const spool = core.spool();
    return {
      device: membership.identity.id,
      hostname: facts?.inventory.device.hostname,
      enrolled: membership.uplink !== undefined,
      company: membership.identity.enrollment?.root.company,
      upstream: membership.uplink?.upstream,
      connected: channel?.connected ?? false,
      dictionary: membership.dictionary.version,
      dictionaryFailed: dictionary.failureTold,
      titles: facts?.inventory.software.length,
      lastScanAt: facts?.scannedAt,
      nextScanAt: timeOf(scanAlarm.at),
      nextContactAt: timeOf(heartbeatAlarm.at),
      lastStoredAt,
      spool: { records: spool.records, bytes: spool.bytes, oldestAt: timeOf(spool.oldestAt) },
      lastError: troubles.latest,
      identityReplacedAt,
      ...(messages.length > 0 && { messages }),
      pid: process.pid,
      running: resident !== undefined,
      at: new Date(clock.now()).toISOString(),
    };
  }

  // --- opening and closing ----------------------------------------------------------------------------------------

  async function open(): Promise<Core> {
    const opened = await openCore({
      config,
      clock,
      log,
      random,
      onAnswer,
      scan: options.scan,
      stopped: stopping.signal,
      onTrouble: (code) => void troubles.note("send", code),
    });
    const before = await readStatus(dir);
    lastStoredAt = before?.lastStoredAt;
    identityReplacedAt = before?.identityReplacedAt;
    messages = before?.messages ?? [];
    dictionary.failureTold = before?.dictionaryFailed ?? false;
    return opened;
  }

  async function close(): Promise<void> {
    stopping.abort();
    for (const alarm of alarms) alarm.cancel();
    clearInterval(resident);
    resident = undefined;
    await channel?.close();
    channel = undefined;
    await work.done();
    await sending;
    statusChanged();
    await status.settled();
    await core?.close();
    core = undefined;
  }

  return {
    status: currentStatus,
    async start() {
      core = await open();
      // The clock's timers keep no process alive; an agent is meant to stay.
      resident = setInterval(() => undefined, 1 << 30);
      sending = core.sender.run(stopping.signal);
      enqueue("begin", begin);
      statusChanged();
    },
    stop: close,
    async runOnce({ deadlineMs = 60_000 } = {}) {
      core = await open();
      const c = core;
      const device = c.membership.identity.id;
      try {
        await dictionary.refresh(c);
        const facts = await c.surveyor.scan(stopping.signal);
        await c.membership.enroll(machineEvidence(facts.inventory), stopping.signal);
        if (c.membership.root !== undefined) await c.surveyor.settleUnder(c.membership.root);
        if (await dictionary.refresh(c)) await c.surveyor.scanNew(stopping.signal);
        await report(c);
        const code = await drain(c, clock.now() + deadlineMs);
        return { device, stored: code === undefined, ...(code !== undefined && { code }) };
      } finally {
        await close();
      }
    },
  };

  /** Sends until nothing waits; the code of what stands in the way when the deadline comes first. */
  async function drain(c: Core, deadline: number): Promise<string | undefined> {
    for (;;) {
      const step = await c.sender.step(stopping.signal);
      if (step.kind === "idle") return undefined;
      const full = step.kind === "sent" ? step.verdict.fullAfterMs : undefined;
      if (step.kind === "sent" && full === undefined) continue;
      const pause = step.kind === "wait" ? step.afterMs : (full ?? 0);
      if (clock.now() + pause > deadline) return step.kind === "wait" ? step.code : "need-full";
      await wait(clock, pause, stopping.signal);
      if (full !== undefined) await repair(c);
    }
  }
}

function timeOf(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}
