/**
 * Several servers on one PostgreSQL: one, two and three of them, each with a client and a fleet of `--devices` of its own, each time on a new database beside the
 * one named. Clients, servers and PostgreSQL share this machine's cores: where those are used up, more servers cannot take in more, so the processor time
 * of each is printed per report.
 */
import pg from "pg";
import { daichoRun, daichoText, postgresCpu, simulateArgs, startServer } from "./server.js";

export async function servers({ devices, titles, phases, database, counts }) {
  if (database?.startsWith("postgres") !== true)
    throw new Error("bench servers: --database postgres://… is needed, a database beside which new ones may be made");
  for (const count of counts) {
    const url = new URL(database);
    url.pathname += `_servers_${count}`;
    const name = url.pathname.slice(1);
    await execute(database, `drop database if exists "${name}" with (force)`);
    await execute(database, `create database "${name}"`);
    try {
      await measure({ count, devices, titles, phases, url: url.toString() });
    } finally {
      await execute(database, `drop database if exists "${name}" with (force)`);
    }
  }
}

async function measure({ count, devices, titles, phases, url }) {
  const running = [];
  try {
    for (let place = 0; place < count; place++) running.push(await startServer({ database: url, place }));
    await running[0].publish();
    const totals = new Map();
    const cpuBefore = postgresCpu(url);
    // Every client does its phases in its own time: the sum of what all do at once is told, which is less exact at the ends.
    const results = await Promise.all(
      running.map(async (server, i) => {
        const enrollment = daichoText(["enrollment", "create"], server.env);
        const args = simulateArgs(server, enrollment, { devices, titles, phases });
        return JSON.parse(await daichoRun([...args, "--seed", `server-${i}`], server.env));
      }),
    );
    const postgres = postgresCpu(url) - cpuBefore;
    const reports = results.flatMap((r) => r.phases).reduce((sum, p) => sum + p.stored, 0);
    for (const [i, { phases: done }] of results.entries())
      for (const [place, p] of done.entries()) {
        const key = `${place} ${p.phase}`;
        const total = totals.get(key) ?? {
          phase: p.phase,
          stored: 0,
          errors: 0,
          from: Infinity,
          to: 0,
          client: 0,
          server: [],
        };
        const to = p.startedAt + p.seconds * 1000;
        total.stored += p.stored;
        total.errors += p.errors;
        total.from = Math.min(total.from, p.startedAt);
        total.to = Math.max(total.to, to);
        total.client += p.clientCpu;
        total.server.push(running[i].cpuBetween(p.startedAt, to));
        totals.set(key, total);
      }
    for (const { phase, stored, errors, from, to, client, server } of totals.values()) {
      const ms = (s) => ((s / stored) * 1000).toFixed(3);
      console.log(
        `servers ${count} ${phase.padEnd(8)} ${Math.round(stored / ((to - from) / 1000))}/s stored ${stored} errors ${errors}; processor ms a report: servers ${ms(server.reduce((a, b) => a + b, 0))} (${server.map((s) => s.toFixed(1)).join(" + ")} s) + clients ${ms(client)}`,
      );
    }
    console.log(
      `servers ${count} PostgreSQL ${postgres.toFixed(1)} s of processor time in all, ${((postgres / reports) * 1000).toFixed(3)} ms a report, enrolments included`,
    );
    for (const server of running) await daichoRun(["report", "reconcile"], server.env);
    console.log(`servers ${count} reconcile clean at each`);
  } finally {
    for (const server of running) {
      await server.stop();
      server.remove();
    }
  }
}

async function execute(url, text) {
  const at = new URL(url);
  at.pathname = "/postgres";
  const client = new pg.Client({ connectionString: at.toString() });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
