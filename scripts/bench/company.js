/**
 * A company to measure the money with: 1,000 departments, 100 licences, 100,000 devices, 80,000 people, ten licences a device, every fifth of them
 * counted by user. In one process, written through the server's own code.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { setTimeout } from "node:timers/promises";
import { createServer } from "../../packages/server/dist/index.js";

const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const chunk = 5000;

export const code = (i) => `D${String(i).padStart(4, "0")}`;

/** `departmentOf`: in which department the person with this number is. */
export async function openCompany({ devices, departments, licenses, departmentOf, database }) {
  const data = mkdtempSync(join(tmpdir(), "daicho-bench-company-"));
  const server = await createServer({
    config: {
      role: "corporate",
      name: "acme",
      listen: "127.0.0.1:0",
      data,
      heartbeatSeconds: 3600,
      database: database ?? `sqlite:${join(data, "daicho.db")}`,
      reports: { queue: 4000, group: 100 },
    },
    log: silent,
  });
  const { db, organization, repository } = server;
  const at = Date.now();
  const people = Math.round(devices * 0.8);
  const each = async (count, work) => {
    for (let from = 0; from < count; from += chunk)
      await db.transaction((trx) =>
        work(
          trx,
          Array.from({ length: Math.min(chunk, count - from) }, (_, i) => from + i),
        ),
      );
  };
  const options = { mode: "upsert", at, origin: "csv" };
  await each(departments, (trx, some) =>
    organization.writeDepartments(
      trx,
      some.map((i) => ({ code: code(i), name: code(i), ...(i >= 10 && { parent: code(i % 10) }) })),
      options,
    ),
  );
  await each(people, (trx, some) =>
    organization.writeEmployees(
      trx,
      some.map((i) => ({ id: `E${i}`, name: `E${i}`, department: code(departmentOf(i)) })),
      options,
    ),
  );
  await each(devices, (trx, some) =>
    server.devices.writeDevices(
      trx,
      some.map((i) => ({ id: `PC${i}`, employee: `E${i % people}` })),
      options,
    ),
  );
  const codes = Array.from({ length: licenses }, (_, i) => `@L${i}`);
  await db.transaction((trx) =>
    repository.syncLicenses(
      trx,
      codes.map((name, i) => ({ code: name, name, metric: i % 5 === 0 ? "user" : "device" })),
      new Set(),
    ),
  );
  await each(devices, (trx, some) =>
    repository.record(
      trx,
      some.map((i) => ({
        device: i + 1,
        licenses: Array.from({ length: 10 }, (_, n) => ({ license: codes[(i * 7 + n * 11) % licenses], count: 1 })),
      })),
      at,
    ),
  );
  return {
    server,
    people,
    async close() {
      await server.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Times the work, and how long at most the event loop stood still meanwhile. */
export function timer(what) {
  return async (name, work) => {
    let longest = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last - 5);
      last = performance.now();
    }, 5);
    const begun = performance.now();
    await work();
    const ms = performance.now() - begun;
    // The last stretch is told by a beat, too.
    await setTimeout(10);
    clearInterval(beat);
    console.log(
      `${what.padEnd(9)} ${name}: ${(ms / 1000).toFixed(2)} s, event loop held ${longest.toFixed(0)} ms at most`,
    );
  };
}
