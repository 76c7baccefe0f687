/**
 * Purpose: a relay, put together: intake below, spool in the middle, forwarder above; cache, channel and status beside them.
 * The one place that knows all parts; each part knows only what it is given.
 *
 *     agents, relays below ──reports──► intake ──► spool ──► forwarder ──► node above
 *                          ◄─dictionary, content── cache ◄──────────────┘
 *                          ◄─push── hub ◄── channel ◄── …      status board ──► …
 *
 * Invariants: `stored` is answered only for what the spool has synced; what is in the spool leaves it only when the node above has
 * answered for it. A relay that is enrolled starts and stores whether or not the node above is there.
 * Failure: not enrolled and the node above is away → listens, answers 503 and keeps trying; refused for good → `start` rejects.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { isDaichoError, readTls, systemClock, wait, type Clock, type Log } from "@daicho/kernel";
import { openEnvelope, type DownMessage, type NodeStatus } from "@daicho/protocol";
import { openSpool } from "@daicho/spool";
import {
  createChannel,
  createUplink,
  enroll,
  openIdentity,
  uplinkErrors,
  type BackoffOptions,
  type Identity,
} from "@daicho/uplink";
import { openBlobCache } from "./cache/blobs.ts";
import { registerBlobs } from "./cache/blobs-route.ts";
import { openDictionaryCache } from "./cache/dictionary.ts";
import { registerDictionary } from "./cache/dictionary-route.ts";
import { createHub } from "./channel/hub.ts";
import { createDownward } from "./channel/downward.ts";
import type { RelayConfig } from "./config.ts";
import { createBandwidth } from "./forward/bandwidth.ts";
import { createForwarder } from "./forward/forwarder.ts";
import { openSetAside } from "./forward/set-aside.ts";
import { createAdmission } from "./http/admission.ts";
import { createHttp } from "./http/app.ts";
import { createAuthenticate } from "./http/authenticate.ts";
import { registerHealth } from "./http/health.ts";
import { createListener, type Listener } from "./http/listener.ts";
import { createNextContact } from "./intake/next-contact.ts";
import { createKnownTitles, registerPassThrough } from "./intake/pass-through.ts";
import { registerReports } from "./intake/reports.ts";
import { openVerdicts } from "./intake/verdicts.ts";
import { createMetrics } from "./metrics.ts";
import { createStatusBoard } from "./status/board.ts";
import { openRemoved } from "./status/removed.ts";
import { registerStatus } from "./status/status-route.ts";

export interface RelayOptions {
  readonly config: RelayConfig;
  readonly log: Log;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Program version, shown in status. */
  readonly program?: string;
  /** Of the way to the node above; tests shorten it. */
  readonly backoff?: BackoffOptions;
}

export interface Relay {
  /** Resolves when it listens. @throws listen-failed, spool-locked, token-missing, enrollment-refused, root-mismatch … */
  start(): Promise<{ readonly url: string }>;
  /** Ends requests under way and lets go of everything; what is stored stays. */
  stop(): Promise<void>;
}

const maxVerdicts = 100_000;
const maxSetAside = 1_000;

export function createRelay(options: RelayOptions): Relay {
  const { config, log, clock = systemClock } = options;
  const stopping = new AbortController();
  let enrolling: Promise<void> = Promise.resolve();
  /** Undone in the reverse order. */
  const undo: (() => Promise<void> | void)[] = [];

  async function start(): Promise<{ readonly url: string }> {
    try {
      return await startParts();
    } catch (error) {
      await stop();
      throw error;
    }
  }

  async function startParts(): Promise<{ readonly url: string }> {
    const tls = readTls(config.tls);
    await mkdir(config.data, { recursive: true, mode: 0o700 });
    const identity = await openIdentity({ dir: join(config.data, "identity") });
    let waitingFor = "starting";
    const listener = createListener({
      listen: config.listen,
      tls,
      now: clock.now,
      waitingFor: () => waitingFor,
    });
    const tryEnroll = async (): Promise<number> => {
      const token = config.enrollmentToken;
      if (token === undefined) throw uplinkErrors.make("token-missing");
      const enrolled = await enroll({
        upstreams: config.upstream,
        tls,
        clock,
        log,
        token,
        identity,
        kind: "relay",
        name: config.name,
        signal: stopping.signal,
        ...(options.backoff && { backoff: options.backoff }),
      });
      log.info("enrolled", { node: identity.id });
      return enrolled.clockOffset;
    };

    let clockOffset: number | undefined;
    let open = identity.enrollment !== undefined;
    if (!open)
      try {
        clockOffset = await tryEnroll();
        open = true;
      } catch (error) {
        if (!isDaichoError(error) || !error.retryable) throw error;
        waitingFor = error.code;
      }
    undo.push(() => listener.close());
    if (open) await run(listener, identity, clockOffset);
    const listening = await listener.listen();
    log.info("relay-listening", { url: listening.url, node: identity.id });
    if (!open) enrolling = enrollLater();
    return listening;

    async function enrollLater(): Promise<void> {
      for (let failures = 0; !stopping.signal.aborted; failures++) {
        const spread = 0.5 + (options.random ?? Math.random)();
        await wait(
          clock,
          Math.min(options.backoff?.capMs ?? 60_000, 1_000 * 2 ** Math.min(failures, 6) * spread),
          stopping.signal,
        );
        if (stopping.signal.aborted) return;
        try {
          await run(listener, identity, await tryEnroll());
          return;
        } catch (error) {
          waitingFor = isDaichoError(error) ? error.code : "internal";
          log.warn("enrollment-failed", { code: waitingFor });
          // Refused for good: only another token helps, and that needs a restart. Health says so until then.
          if (!isDaichoError(error) || !error.retryable) return;
        }
      }
    }
  }

  /** Everything behind the listener, for an enrolled node. */
  async function run(listener: Listener, identity: Identity, clockOffset: number | undefined): Promise<void> {
    const { limits } = config;
    const random = options.random ?? Math.random;
    const root = identity.enrollment?.root;
    if (root === undefined) throw uplinkErrors.make("not-enrolled");
    const metrics = createMetrics();
    const bandwidth = createBandwidth({ bytesPerSecond: limits.bytesPerSecond, clock });
    const admission = createAdmission({ maxRequests: limits.requests, maxBytes: limits.inFlightBytes, random });

    const uplink = createUplink({
      upstreams: config.upstream,
      tls: readTls(config.tls),
      clock,
      log,
      identity,
      ...(clockOffset !== undefined && { clockOffset }),
      ...(options.backoff && { backoff: options.backoff }),
    });
    undo.push(() => uplink.close());
    const now = (): number => clock.now() + uplink.clockOffset;

    const spool = await openSpool({ dir: join(config.data, "spool"), maxBytes: limits.spoolBytes, log, clock });
    undo.push(() => spool.close());
    const verdicts = await openVerdicts({
      file: join(config.data, "verdicts.json"),
      limit: maxVerdicts,
      clock,
      log,
    });
    undo.push(() => verdicts.flush());
    const titles = createKnownTitles();
    const nextContact = createNextContact({ spool, spoolBytes: limits.spoolBytes, clock, random });

    const dictionary = await openDictionaryCache({
      dir: config.data,
      root: () => root,
      uplink,
      clock,
      log,
      onChange(change) {
        if (change.version) hub.broadcast({ type: "policy-changed", dictionary: dictionary.version });
        board.changed();
      },
    });
    const blobs = await openBlobCache({
      dir: join(config.data, "blobs"),
      maxBytes: limits.cacheBytes,
      uplink,
      bandwidth,
      clock,
      log,
    });

    const removed = await openRemoved({
      file: join(config.data, "removed.json"),
      log,
      onChange: () => hub.cut(removed.has),
    });
    const authenticate = createAuthenticate({ root: () => root, removed, now });
    const hello = (): DownMessage => ({
      type: "hello",
      time: new Date(now()).toISOString(),
      dictionary: dictionary.version,
    });
    const hub = createHub({
      authenticate,
      hello,
      maxConnections: limits.connections,
      now,
      random,
      clock,
      log,
      onPresence: () => downward.presenceChanged(),
    });
    const board = createStatusBoard({ own, uplink, clock, log, onRemoved: (ids) => void removed.heard(ids) });
    const downward = createDownward({ hub, verdicts, titles, dictionary, clock, sayPresence });

    const setAside = await openSetAside({
      dir: join(config.data, "set-aside"),
      limit: maxSetAside,
      clock,
      log,
      async offer(data) {
        const sent = await uplink.sendReports([data], stopping.signal);
        const result = sent.kind === "ok" ? sent.value.results[0] : undefined;
        const opened = openEnvelope(data);
        if (result !== undefined && opened.ok) downward.verdict(opened.envelope.header, result);
        return result !== undefined;
      },
    });
    const forwarder = createForwarder({
      setAside: setAside.keep,
      spool,
      uplink,
      bandwidth,
      clock,
      log,
      forwarded: metrics.counter(
        "daicho_relay_forwarded_total",
        "Reports the node above answered, by its answer.",
        "status",
      ),
      onVerdict: downward.verdict,
      onDictionary: (version) => dictionary.hint(version),
      onNextContact: nextContact.heard,
    });
    undo.push(() => setAside.stop());
    undo.push(() => forwarder.stop());
    metrics.gauge("daicho_relay_set_aside", "Reports the node above refuses, laid aside.", () => setAside.count);

    const channel = createChannel({
      uplink,
      clock,
      log,
      random,
      onMessage: downward.message,
      ...(options.backoff && { backoff: options.backoff }),
      onState(connected) {
        if (!connected) return;
        sayPresence();
        board.sayAgain();
        forwarder.reached();
        void dictionary.refresh();
      },
    });
    undo.push(() => channel.close());
    undo.push(() => dictionary.stop());
    undo.push(() => blobs.stop());
    undo.push(() => board.stop());
    undo.push(() => downward.stop());

    function sayPresence(): void {
      channel.send({ type: "presence", ...hub.presence });
    }

    function own(): NodeStatus {
      const { records, bytes, oldestAt } = spool.stats();
      const refusal = forwarder.refusal;
      const reason =
        dictionary.reason ??
        (refusal && {
          code: refusal.code,
          message: `the node above refuses what is forwarded: ${refusal.title}`.slice(0, 512),
        }) ??
        (setAside.count === 0
          ? undefined
          : {
              code: "reports-set-aside",
              message: `the node above refuses ${setAside.count} reports; see data/set-aside`,
            });
      return {
        id: identity.id,
        kind: "relay",
        name: config.name,
        company: root?.company ?? "",
        ...(options.program !== undefined && { program: options.program }),
        dictionary: dictionary.version,
        state: reason === undefined ? dictionary.state : "failed",
        ...(reason !== undefined && { reason }),
        at: new Date(now()).toISOString(),
        spool: { records, bytes, ...(oldestAt !== undefined && { oldestAt: new Date(oldestAt).toISOString() }) },
        connected: hub.size,
      };
    }

    const refused = metrics.counter("daicho_relay_refused_total", "Requests refused, by code.", "code");
    const http = createHttp({ clock, log, now, admission, authenticate, refused });
    registerReports({
      http,
      spool,
      verdicts,
      nextContact,
      now,
      random,
      clock,
      log,
      dictionaryVersion: () => dictionary.version,
      answered: metrics.counter(
        "daicho_relay_reports_total",
        "Reports answered to the nodes below, by answer.",
        "status",
      ),
      onStored: forwarder.wake,
    });
    registerPassThrough({ http, uplink, titles });
    registerDictionary(http, dictionary);
    registerBlobs(http, blobs, clock);
    registerStatus(http, board, removed);
    registerHealth({ http, metrics, spool, hub, uplink, dictionary, verdicts, admission, blobs, clock });
    await http.app.ready();
    undo.push(() => http.app.close());

    hub.attach(listener.server);
    undo.push(() => listener.close());
    undo.push(() => hub.close());
    listener.serve((request, response) => http.app.routing(request, response));
    void dictionary.refresh();
    board.changed();
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await enrolling;
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  }

  return { start, stop };
}
