/**
 * Purpose: opens what an agent is made of, from its data directory: spool, membership, facts, reporter, sender. The spool comes
 * first: its lock keeps a second agent away from everything else in the directory.
 */
import { join } from "node:path";
import type { Clock, Log } from "@daicho/kernel";
import type { ReportsResponse } from "@daicho/protocol";
import { openSpool, type SpoolStats } from "@daicho/spool";
import { factsFile } from "../report/facts.ts";
import { journalFile } from "../report/journal.ts";
import { createOutbox } from "../report/outbox.ts";
import { openReporter, type Reporter, type Verdict } from "../report/reporter.ts";
import { createSender, type Sender } from "../report/sender.ts";
import { milliseconds, type AgentConfig } from "./config.ts";
import { openMembership, type Membership } from "./membership.ts";
import { createScanProcess } from "./scan-process.ts";
import type { ScanPort } from "./scan-port.ts";
import { openSurveyor, type Surveyor } from "./surveyor.ts";

export interface Core {
  readonly membership: Membership;
  readonly surveyor: Surveyor;
  readonly reporter: Reporter;
  readonly sender: Sender;
  spool(): SpoolStats;
  /** Another machine uses this key: goes on as a new node, not enrolled. What waits was signed by the old one and goes with it. */
  replaceIdentity(): Promise<void>;
  close(): Promise<void>;
}

export interface CoreOptions {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Default: a child process per scan. */
  readonly scan?: ScanPort | undefined;
  readonly stopped: AbortSignal;
  readonly onAnswer: (core: Core, response: ReportsResponse, verdict: Verdict) => void;
  readonly onTrouble: (code: string) => void;
}

/** @throws spool-locked, spool-io, identity-unreadable, tls-unreadable, upstream-invalid */
export async function openCore(options: CoreOptions): Promise<Core> {
  const { config, clock, log, random } = options;
  const dir = config.data;
  const spool = await openSpool({ dir: join(dir, "spool"), maxBytes: config.limits.spoolBytes, clock, log });
  try {
    const membership = await openMembership({ config, clock, log, random });
    const outbox = createOutbox(spool);
    const { roots, exclude, polite, maxEntries } = config.scan;
    const surveyor = await openSurveyor({
      file: factsFile(dir),
      scan: options.scan ?? createScanProcess({ dir: join(dir, "scan") }),
      walk: { roots, exclude, polite, maxEntries, maxMilliseconds: milliseconds(config.scan.maxDuration) },
      deviceId: () => membership.identity.id,
      dictionary: () => membership.dictionary,
      root: () => membership.root,
      clock,
    });
    const makeReporter = (): Promise<Reporter> =>
      openReporter({
        signer: membership.identity.signer,
        journal: journalFile(dir),
        outbox,
        async askUnknown(hashes) {
          const result = await membership.uplink?.unknownTitles(hashes, options.stopped);
          return result?.kind === "ok" ? result.value : undefined;
        },
        dictionaryVersion: () => membership.dictionary.version,
        now: () => clock.now() + (membership.uplink?.clockOffset ?? 0),
        clock,
        log,
      });
    let reporter = await makeReporter();
    const core: Core = {
      membership,
      surveyor,
      get reporter() {
        return reporter;
      },
      sender: createSender({
        outbox,
        reporter: () => reporter,
        uplink: () => membership.uplink,
        onAnswer: async (response, verdict) => options.onAnswer(core, response, verdict),
        onTrouble: options.onTrouble,
        clock,
        log,
        random,
      }),
      spool: () => spool.stats(),
      async replaceIdentity() {
        await membership.replaceIdentity();
        reporter = await makeReporter();
      },
      async close() {
        await membership.close();
        await spool.close();
      },
    };
    return core;
  } catch (error) {
    await spool.close();
    throw error;
  }
}
