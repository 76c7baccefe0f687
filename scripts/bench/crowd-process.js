/** One process of a crowd (crowd.js): its agents, and the few things that can be asked of them. */
import { performance } from "node:perf_hooks";
import { createSender } from "../../packages/agent/dist/report/sender.js";
import { createFleet } from "../../packages/cli/dist/simulate/fleet.js";
import { createIdentities } from "../../packages/cli/dist/simulate/identities.js";
import { createReports } from "../../packages/cli/dist/simulate/reports.js";
import { createKnownTitles } from "../../packages/cli/dist/simulate/titles.js";
import { silentLog, systemClock } from "../../packages/kernel/dist/index.js";
import { maxTitles, openEnvelope } from "../../packages/protocol/dist/index.js";
import { createChannel, createUplink, enroll } from "../../packages/uplink/dist/index.js";

const { upstream, token, titles, devices, from, to } = JSON.parse(process.argv[2]);
const seed = "crowd";
const fleet = createFleet({ seed, titles });
const identities = createIdentities(seed);
const known = createKnownTitles(fleet, Math.floor(maxTitles / 2));
const reports = createReports({ fleet, identities, known, devices, epoch: Date.now(), now: Date.now });
const common = { clock: systemClock, log: silentLog, connections: 1 };
const agents = [];

const count = { messages: 0, connected: 0, told: 0 };
/** By code: answers that were tried again, whole requests that were refused, reports that were. */
const [retried, refused, rejected] = [{}, {}, {}];
const bump = (of, code) => (of[code] = (of[code] ?? 0) + 1);
/** From being switched on to `stored`, ms. */
let waits = [];

async function createAgent(device) {
  let enrollment;
  const signer = identities.signer(device);
  const identity = {
    id: signer.keyId,
    signer,
    get enrollment() {
      return enrollment;
    },
    saveEnrollment: async (next) => void (enrollment = next),
  };
  const name = fleet.hostname(device);
  await enroll({
    ...common,
    upstreams: [upstream],
    token,
    kind: "agent",
    name,
    identity,
    evidence: fleet.evidence(device),
  });
  const uplink = createUplink({ ...common, upstreams: [upstream], identity });
  const outbox = createOutbox();
  let since = 0;
  const put = (outgoing) => {
    since = performance.now();
    outbox.put(outgoing);
  };
  const sender = createSender({
    outbox,
    clock: systemClock,
    log: silentLog,
    onTrouble: () => undefined,
    uplink: () => ({
      async sendReports(envelopes, signal) {
        const sent = await uplink.sendReports(envelopes, signal);
        if (sent.kind === "retry") bump(retried, sent.code);
        if (sent.kind === "refused") bump(refused, sent.problem.code);
        return sent;
      },
    }),
    async onAnswer(response) {
      waits.push(performance.now() - since);
      if (response.nextContactSeconds !== undefined) count.told++;
    },
    reporter: () => ({
      demandFull: async () => put(reports.full(device, "unknown")),
      async answered(answers) {
        for (const { outgoing, result } of answers)
          if (result.status === "stored" || result.status === "duplicate") reports.settled(outgoing.report);
          else {
            bump(rejected, `${result.status} ${result.code ?? ""}`);
            if (result.status === "need-full")
              put(reports.full(device, result.code === "titles-unknown" ? "all" : "unknown"));
          }
        return { identity: "fine", fullAfterMs: undefined };
      },
    }),
  });
  return { device, identity, uplink, outbox, sender, put };
}

function createOutbox() {
  let waiting = [];
  let last = 0;
  return {
    put(report) {
      const { envelope: bytes } = report;
      waiting.push({ position: ++last, bytes, header: openEnvelope(bytes).envelope.header, fresh: true, report });
    },
    read: async (records) => waiting.slice(0, records),
    sent: () => undefined,
    done: async (position) => void (waiting = waiting.filter((one) => one.position > position)),
    get pending() {
      return waiting.length;
    },
  };
}

/** So many at a time. */
async function each(items, width, work) {
  const iterator = items[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of iterator) await work(item);
    }),
  );
}

async function drain(agent) {
  for (;;) {
    const step = await agent.sender.step();
    if (step.kind === "idle") return;
    if (step.kind === "wait") await new Promise((resolve) => setTimeout(resolve, step.afterMs));
  }
}

const commands = {
  async join() {
    await each(
      Array.from({ length: to - from }, (_, i) => from + i),
      50,
      async (device) => agents.push(await createAgent(device)),
    );
    await each(agents, 50, async (agent) => {
      const { device, uplink } = agent;
      const ranks = fleet.titlesOf(device, 0);
      // What a full report goes along with: the texts that nobody above has (as the real reporter asks).
      await known.ask(known.unknownOf(ranks), async (hashes) => {
        const answer = await uplink.unknownTitles(hashes);
        return answer.kind === "ok" ? { status: 200, body: answer.value, ms: 0 } : undefined;
      });
      agent.put(reports.full(device, "unknown", ranks));
      await drain(agent);
    });
    waits = [];
    for (const of of [retried, refused, rejected]) for (const code of Object.keys(of)) delete of[code];
  },
  switchOn() {
    for (const agent of agents) agent.put(reports.delta(agent.device));
    for (const agent of agents) {
      agent.running ??= agent.sender.run(new globalThis.AbortController().signal);
      agent.sender.wake();
    }
  },
  beat() {
    for (const agent of agents) {
      agent.put(reports.heartbeat(agent.device));
      agent.running ??= agent.sender.run(new globalThis.AbortController().signal);
      agent.sender.wake();
    }
  },
  connect: () =>
    Promise.all(
      agents.map(
        ({ uplink }) =>
          new Promise((resolve) =>
            createChannel({
              uplink,
              clock: systemClock,
              log: silentLog,
              onMessage: ({ type }) => void (type !== "hello" && count.messages++),
              onState(open) {
                count.connected += open ? 1 : -1;
                resolve();
              },
            }),
          ),
      ),
    ).then(() => undefined),
  stats: () => ({
    ...count,
    retried,
    refused,
    rejected,
    waits,
    waiting: agents.filter(({ outbox }) => outbox.pending > 0).length,
  }),
  async verify({ server }) {
    const uplink = createUplink({ ...common, upstreams: [server], identity: agents[0].identity });
    const answers = {};
    for (let at = 0; at < agents.length; at += 500) {
      const beats = agents.slice(at, at + 500).map(({ device }) => reports.heartbeat(device).envelope);
      const sent = await uplink.sendReports(beats);
      if (sent.kind !== "ok") bump(answers, sent.kind);
      else for (const { status, code } of sent.value.results) bump(answers, [status, code].filter(Boolean).join(" "));
    }
    await uplink.close();
    return answers;
  },
};

process.on("message", ({ id, name, args }) => {
  Promise.resolve()
    .then(() => commands[name](args))
    .then(
      (value) => process.send({ id, value }),
      (error) => process.send({ id, error: String(error?.stack ?? error) }),
    );
});
process.on("disconnect", () => process.exit());
