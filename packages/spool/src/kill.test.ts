/**
 * Real processes, really killed. The child appends and consumes without end and prints what it was answered; the parent
 * kills it at a random moment, opens the spool itself and compares.
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLog } from "@daicho/kernel";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSpool } from "./spool.ts";

const dir = mkdtempSync(join(tmpdir(), "daicho-spool-kill-"));
const kills = 20;

// The child runs the built package, so it is built here from the sources under test.
beforeAll(() => {
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-b", fileURLToPath(new URL("..", import.meta.url))]);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Life {
  /** Ids whose append was answered, and the highest id handed to the consumer. */
  readonly stored: readonly number[];
  readonly taken: number;
}

async function liveAndDie(firstId: number): Promise<Life> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL("fixtures/appender.js", import.meta.url)), dir, String(firstId)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let output = "";
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("latin1");
    child.stdout.on("data", (text: string) => {
      output += text;
      if (output.startsWith("open\n")) resolve();
    });
    child.once("exit", () => reject(new Error("the child ended by itself")));
  });
  child.removeAllListeners("exit");
  setTimeout(() => child.kill("SIGKILL"), randomInt(5, 120));
  await ended;
  expect(child.signalCode).toBe("SIGKILL");
  const stored: number[] = [];
  let taken = 0;
  for (const line of output.slice(0, output.lastIndexOf("\n")).split("\n")) {
    const [word, a, b] = line.split(" ");
    if (word === "stored") for (let id = Number(a); id <= Number(b); id++) stored.push(id);
    if (word === "taken") taken = Number(a);
  }
  return { stored, taken };
}

test(`spool §1.1: ${kills} times killed with kill -9, everything answered is there, in order, and nothing else`, async () => {
  let nextId = 1;
  let answered = 0;
  for (let kill = 0; kill < kills; kill++) {
    const life = await liveAndDie(nextId);
    answered += life.stored.length;
    const spool = await openSpool({ dir, maxBytes: 64 * 1024 * 1024, segmentBytes: 64 * 1024, log: silentLog });
    const found: number[] = [];
    for (let from = 0; ;) {
      const records = await spool.read(from, { maxRecords: 500, maxBytes: 1e6 });
      if (records.length === 0) break;
      for (const { data, position } of records) {
        const id = Number(data.toString("latin1").split(":")[0]);
        const filler = createHash("sha512")
          .update(String(id))
          .digest("hex")
          .repeat((id % 13) + 1);
        expect(data.toString("latin1")).toBe(`${id}:${filler}`);
        found.push(id);
        from = position + 1;
      }
    }
    expect(found).toEqual([...new Set(found)].sort((a, b) => a - b));
    const missing = life.stored.filter((id) => id > life.taken && !found.includes(id));
    expect(missing).toEqual([]);
    expect(found.every((id) => id >= nextId)).toBe(true);
    nextId = Math.max(nextId, life.taken, ...life.stored, ...found) + 1000;
    await spool.ack(spool.stats().last);
    await spool.close();
  }
  expect(answered).toBeGreaterThan(kills);
});
