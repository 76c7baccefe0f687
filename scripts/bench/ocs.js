/**
 * OCS Inventory beside Daicho, in one run on one machine: the first devices of a made-up fleet report to an OCS server by its agents' protocol, then the
 * whole fleet to Daicho, each device in a request of its own as without relays. OCS gets fewer because it takes seconds for each; its cost of one is about the same for all.
 * New, unchanged, five titles changed; what of it is really in the store afterwards; bytes a device.
 * Processor time is that of all of apache2 and mariadbd while the phase ran: nothing else should use them meanwhile.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createFleet } from "../../packages/cli/dist/simulate/fleet.js";
import { createOcsAgents } from "./ocs-agent.js";
import { daichoRun, daichoText, simulateArgs, sizeOf, startServer } from "./server.js";

const setup = `To have one here (Debian 12, as root; MariaDB on its usual socket; the password is that of Debian's configuration):
  apt-get install --no-install-recommends ocsinventory-server libapache2-mod-perl2 libapache-dbi-perl libdbd-mysql-perl libxml-parser-perl mariadb-server
  apt-get download ocsinventory-reports && dpkg -x ocsinventory-reports_*.deb ocs      # only for its tables
  mariadb -e "create database ocsweb; grant all on ocsweb.* to ocs@localhost identified by 'ocs'"
  (cd ocs/usr/share/ocsinventory-reports/files && for f in ocsbase.sql update/70[4-6]?.sql; do mariadb --force ocsweb < $f; done)   # a few statements are there already
  a2dismod mpm_event; a2enmod mpm_prefork; a2disconf ocsinventory-restapi; apachectl start
To begin again from nothing: mariadb -e "drop database ocsweb" and the third and fourth line.`;

const phases = ["new", "same", "changed"];

export async function ocs({ url, devices, ocsDevices, titles, senders }) {
  if (!(await isOcs(url))) {
    console.log(`ocs       nothing that speaks OCS Inventory's protocol at ${url}.\n${setup}`);
    process.exitCode = 1;
    return;
  }
  const seed = `ocs-${Date.now()}`;
  for (const [i, count] of senders.entries()) {
    const fleet = createFleet({ seed: `${seed}-${i}`, titles });
    console.log(
      `\n# ${devices} devices of ${titles} titles, the first ${ocsDevices} of them to OCS Inventory; ${count} ${count === 1 ? "sender" : "senders at once"}`,
    );
    const theirs = await runOcs({ url, fleet, devices: ocsDevices, count });
    const ours = await runDaicho({ seed: `${seed}-${i}`, devices, titles, count });
    for (const phase of phases)
      console.log(`ratio     ${phase.padEnd(8)} ${(ours[phase] / theirs[phase]).toFixed(0)} x`);
  }
}

async function isOcs(url) {
  const none = { evidence: () => ({}), hostname: () => "bench-probe", titlesOf: () => [] };
  // An unknown device is told to send; nothing of it is kept.
  return createOcsAgents({ url, fleet: none })
    .prolog(0)
    .catch(() => false);
}

async function runOcs({ url, fleet, devices, count }) {
  const agents = createOcsAgents({ url, fleet });
  const before = tableBytes();
  const rates = {};
  for (const phase of phases) {
    const generation = phase === "changed" ? 1 : 0;
    let next = 0;
    let well = 0;
    const [began, cpu, bytes] = [performance.now(), processorSeconds(), agents.bytes()];
    await Promise.all(
      Array.from({ length: count }, async () => {
        for (let device = next++; device < devices; device = next++)
          if (await agents.report(device, generation, phase).catch(() => false)) well++;
      }),
    );
    const seconds = (performance.now() - began) / 1000;
    rates[phase] = well / seconds;
    const kept = keptDevices(agents.stamp, (device) => fleet.titlesOf(device, generation).length);
    console.log(
      `ocs       ${phase.padEnd(8)} ${rates[phase].toFixed(1)}/s, answered well ${well} of ${devices}${kept === undefined ? "" : `, whole in the store ${kept}, lost ${Math.max(0, well - kept)}`}; ` +
        `processor ${((processorSeconds() - cpu) / devices).toFixed(3)} s, sent ${Math.round((agents.bytes() - bytes) / devices)} bytes a device`,
    );
  }
  const after = tableBytes();
  if (before !== undefined && after !== undefined)
    console.log(`ocs       store    ${Math.round((after - before) / devices)} bytes a device`);
  else console.log("ocs       store    not known: the mariadb client did not answer (user ocs, database ocsweb)");
  return rates;
}

async function runDaicho({ seed, devices, titles, count }) {
  const server = await startServer();
  try {
    await server.publish();
    const enrollment = daichoText(["enrollment", "create"], server.env);
    const before = sizeOf(server.dir);
    const own = ["--batch", "1", "--concurrency", String(count), "--seed", seed];
    const args = simulateArgs(server, enrollment, { devices, titles, phases: phases.join(",") }).concat(own);
    const result = JSON.parse(await daichoRun(args, server.env));
    for (const p of result.phases)
      console.log(
        `daicho    ${p.phase.padEnd(8)} ${p.perSecond.toFixed(0)}/s, stored ${p.stored} of ${devices}, lost ${p.lost}; processor ${(server.cpuBetween(p.startedAt, p.startedAt + p.seconds * 1000) / devices).toFixed(4)} s, sent ${Math.round(p.bytes / devices)} bytes a device`,
      );
    await daichoRun(["report", "reconcile"], server.env);
    await server.stop();
    console.log(`daicho    store    ${Math.round((sizeOf(server.dir) - before) / devices)} bytes a device, the titles themselves included; reconcile clean`); // prettier-ignore
    return Object.fromEntries(result.phases.map((p) => [p.phase, p.perSecond]));
  } finally {
    server.remove();
  }
}

/** Devices of this run that have as many titles in the store as they sent. */
function keptDevices(stamp, titlesOf) {
  const rows = sql(
    `select h.DEVICEID, count(s.ID) from hardware h left join software s on s.HARDWARE_ID = h.ID where h.DEVICEID like '%-${stamp}' group by h.ID`,
  );
  return rows?.filter(([id, count]) => Number(count) === titlesOf(Number(/^sim-(\d+)/.exec(id)?.[1]))).length;
}

function tableBytes() {
  const names = sql("select table_name from information_schema.tables where table_schema = database() and engine = 'InnoDB'"); // prettier-ignore
  if (names === undefined) return undefined;
  sql(`analyze table ${names.map(([name]) => `\`${name}\``).join(", ")}`);
  return Number(sql("select sum(data_length + index_length) from information_schema.tables where table_schema = database()")?.[0]?.[0]); // prettier-ignore
}

function sql(text) {
  const { status, stdout } = spawnSync("mariadb", ["-uocs", "-pocs", "-BN", "ocsweb", "-e", text], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return status === 0
    ? stdout
        .trim()
        .split("\n")
        .map((line) => line.split("\t"))
    : undefined;
}

/** Of every apache2 and mariadbd, with the children that have ended. Linux only; elsewhere 0. */
function processorSeconds() {
  let ticks = 0;
  for (const pid of readable(() => readdirSync("/proc")) ?? []) {
    if (!/^\d+$/.test(pid)) continue;
    const text = readable(() => readFileSync(`/proc/${pid}/stat`, "latin1")) ?? "";
    if (!/\((?:apache2|mariadbd)\)/.test(text)) continue;
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return ticks / 100;
}

function readable(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}
