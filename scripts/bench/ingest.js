/**
 * Ingest as users size it: a real server, `daicho simulate` on the same cores, then reconcile and the size of the store. Processor time of both
 * sides per report is printed beside the rate: it stays comparable on a machine that is busy with other work.
 */
import { daichoRun, daichoText, postgresCpu, simulateArgs, sizeOf, startServer } from "./server.js";
import { storeBytes, tableParts } from "./store.js";

export async function ingest({ devices, titles, phases, database, plain, profile }) {
  const nodeArgs = (side) => (profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}/${side}`]);
  const server = await startServer({ database, nodeArgs: nodeArgs("server") });
  try {
    await server.publish();
    const enrollment = daichoText(["enrollment", "create"], server.env);
    const before = await sizeNow(server);
    const began = Date.now();
    const postgresBefore = database?.startsWith("postgres") === true ? postgresCpu(database) : undefined;
    const result = JSON.parse(
      await daichoRun(simulateArgs(server, enrollment, { devices, titles, phases }), server.env, nodeArgs("client")),
    );
    const { seconds, perSecond } = result.enrollment;
    const cpu = server.cpuBetween(began, (result.phases[0]?.startedAt ?? Date.now()) - 1);
    console.log(
      `enrolment ${Math.round(perSecond)}/s, ${seconds} s, server ${((cpu / devices) * 1000).toFixed(2)} ms of processor time each`,
    );
    for (const p of result.phases) {
      const each = (s) => ((s / p.stored) * 1000).toFixed(3);
      const serverCpu = server.cpuBetween(p.startedAt, p.startedAt + p.seconds * 1000);
      const ratio =
        plain !== undefined && p.phase === "new"
          ? `, ${(p.perSecond / plain.newPerSecond).toFixed(1)} x the baseline`
          : "";
      console.log(
        `ingest    ${p.phase.padEnd(8)} ${Math.round(p.perSecond)}/s stored ${p.stored} errors ${p.errors} p50 ${p.p50} p95 ${p.p95} p99 ${p.p99} ms; processor ms a report: server ${each(serverCpu)} + client ${each(p.clientCpu)}${ratio}`,
      );
    }
    if (postgresBefore !== undefined) {
      const used = postgresCpu(database) - postgresBefore;
      console.log(
        `database  ${used.toFixed(1)} s of processor time, enrolment and ${result.phases.length} phases together`,
      );
    }
    const started = performance.now();
    await daichoRun(["report", "reconcile"], server.env);
    console.log(`reconcile ${((performance.now() - started) / 1000).toFixed(1)} s, clean`);
    console.log(`memory    ${Math.round(server.peak() / 2 ** 20)} MiB at most`);
    await server.stop();
    const after = await sizeNow(server);
    console.log(`store     ${Math.round((after - before) / devices)} bytes a device, everything included`);
    for (const [name, bytes] of await storeBytes(server.url))
      if (bytes / devices >= 5) console.log(`          ${String(Math.round(bytes / devices)).padStart(6)} ${name}`);
    if (server.url.startsWith("postgres")) await showTables(server.url, devices);
  } finally {
    server.remove();
  }
}

/** Bytes a device, and rows. */
async function showTables(url, devices) {
  for (const t of await tableParts(url)) {
    const bytes = (n) => String(Math.round(n / devices)).padStart(5);
    if (t.heap + t.toast + t.indexes >= 20 * devices)
      console.log(
        `table     ${t.name.padEnd(16)} heap ${bytes(t.heap)} toast ${bytes(t.toast)} indexes ${bytes(t.indexes)}; rows ${t.live}, dead ${t.dead}, dead in toast ${t.deadToast}; updates ${t.updates}, in place ${t.hot}; vacuumed ${t.vacuums} times`,
      );
  }
}

async function sizeNow({ url, dir }) {
  if (url.startsWith("sqlite:")) return sizeOf(dir);
  return (await storeBytes(url)).reduce((sum, [, bytes]) => sum + bytes, 0);
}
