/**
 * Purpose: devices that report through real nodes: enrolled with real keys, real signed envelopes, as patient as an agent. No agent code is
 * involved, so a mistake of the agent cannot hide one of relay or server.
 * Invariants: a report is kept until it was answered `stored` or `duplicate`; `need-full` is answered with a full report; what was rejected is
 * remembered with its code. A device heals by nothing else: heartbeats are sent only where a test asks for them.
 */
import { silentLog, systemClock } from "@daicho/kernel";
import { createSigner, generateKeyPair, type ReportResult, type Title } from "@daicho/protocol";
import { createTestDevice, type TestDevice } from "@daicho/testkit";
import { createUplink, enroll, type Enrollment, type Identity, type Uplink } from "@daicho/uplink";
import { pause } from "./until.ts";

export interface FleetDevice {
  readonly id: string;
  readonly titles: readonly Title[];
  readonly uplink: Uplink;
  /** Installs these and says so: a full report first, deltas then. */
  change(titles: readonly Title[]): void;
  heartbeat(): void;
  /** Reports that were not answered yet. */
  readonly waiting: number;
  /** Everything but `stored`, as answered. */
  readonly answers: readonly ReportResult[];
  readonly stored: number;
  /** Envelopes for the test to send by hand. `prepare`: a full report of these titles. */
  prepare(titles: readonly Title[]): Buffer;
  seal(kind: "heartbeat"): Buffer;
  stop(): Promise<void>;
}

const backoff = { baseMs: 20, capMs: 300 };

export async function createFleetDevice(options: {
  readonly upstream: string;
  readonly token: string;
  readonly name: string;
}): Promise<FleetDevice> {
  const pair = generateKeyPair();
  const signer = createSigner(pair);
  let enrollment: Enrollment | undefined;
  const identity: Identity = {
    id: signer.keyId,
    signer,
    get enrollment() {
      return enrollment;
    },
    saveEnrollment: (next) => Promise.resolve(void (enrollment = next)),
  };
  const common = { upstreams: [options.upstream], clock: systemClock, log: silentLog, backoff, connections: 1 };
  await enroll({ ...common, token: options.token, kind: "agent", name: options.name, identity });
  const uplink = createUplink({ ...common, identity });
  const device: TestDevice = createTestDevice(options.name, pair);
  device.evidence = undefined;

  const pending: Buffer[] = [];
  const answers: ReportResult[] = [];
  const stopping = new AbortController();
  let stored = 0;
  let reported = false;

  async function step(): Promise<void> {
    const batch = pending.slice(0, 20);
    if (batch.length === 0) return pause(10);
    const sent = await uplink.sendReports(batch, stopping.signal);
    if (sent.kind === "retry") return pause(Math.max(10, Math.min(sent.after, 2000)));
    if (sent.kind === "refused") {
      answers.push({ status: "rejected", code: sent.problem.code });
      return pause(500);
    }
    pending.splice(0, batch.length);
    let full = false;
    for (const result of sent.value.results) {
      if (result.status === "stored") stored++;
      else answers.push(result);
      if (result.status === "need-full") full = true;
    }
    if (full) {
      pending.length = 0;
      pending.push(device.report("full"));
    }
  }

  const running = (async () => {
    while (!stopping.signal.aborted) await step();
  })();

  return {
    id: device.id,
    get titles() {
      return device.titles;
    },
    uplink,
    change(titles) {
      device.install(titles);
      pending.push(device.report(reported ? "delta" : "full"));
      reported = true;
    },
    heartbeat: () => void pending.push(device.report("heartbeat")),
    get waiting() {
      return pending.length;
    },
    answers,
    get stored() {
      return stored;
    },
    prepare(titles) {
      device.install(titles);
      return device.report("full");
    },
    seal: (kind) => device.report(kind),
    async stop() {
      stopping.abort();
      await running;
      await uplink.close();
    },
  };
}

/** What a server shows of a title, in an order of its own; two inventories are equal when their lines are. */
export function linesOf(titles: readonly Title[]): readonly string[] {
  return titles
    .map(({ name, version, publisher, source, arch, identifier, installedAt, size, path }) =>
      JSON.stringify([name, version, publisher, source, arch, identifier, installedAt, size, path]),
    )
    .sort();
}
