import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createScanProcess } from "./scan-process.ts";
import type { ScanRequest } from "./scan-port.ts";

const dirs: string[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

const request: ScanRequest = {
  kind: "scan",
  deviceId: "d",
  walk: { roots: ["/"], exclude: [], polite: true, maxEntries: 1, maxMilliseconds: 60_000 },
};

/** A child that runs this program with `request` and `answer` (file names) in scope. */
function child(program: string) {
  const dir = mkdtempSync(join(tmpdir(), "daicho-scan-"));
  dirs.push(dir);
  const entry = join(dir, "entry.mjs");
  writeFileSync(
    entry,
    `import { readFileSync, writeFileSync } from "node:fs";\nconst [request, answer] = process.argv.slice(2);\n${program}`,
  );
  const work = join(dir, "work");
  return { work, scan: createScanProcess({ dir: work, command: [process.execPath, entry] }) };
}
const inventory = '{ daicho: "inventory/v1", device: { hostname: "pc01" }, software: [] }';

describe("a scan in a process of its own", () => {
  it("gets the request and gives the answer, and leaves no files behind", async () => {
    const { scan, work } = child(
      `const { deviceId } = JSON.parse(readFileSync(request, "utf8"));
       writeFileSync(answer, JSON.stringify({ inventory: ${inventory}, hits: [], probes: [deviceId], dictionary: 0, errors: [] }));`,
    );
    expect(await scan(request)).toMatchObject({ probes: ["d"], inventory: { device: { hostname: "pc01" } } });
    expect(readdirSync(work)).toEqual([]);
  });

  it("that crashes, says nothing or talks nonsense is a failed scan, and leaves no files behind", async () => {
    for (const program of [
      "process.exit(3)",
      "process.kill(process.pid, 'SIGKILL')",
      "",
      "writeFileSync(answer, '{')",
      "writeFileSync(answer, '{}')",
      `writeFileSync(answer, JSON.stringify({ inventory: { ...${inventory}, software: 7 }, hits: [], probes: [] }))`,
      `writeFileSync(answer, JSON.stringify({ inventory: ${inventory}, hits: 7, probes: [] }))`,
      `writeFileSync(answer, JSON.stringify({ inventory: ${inventory}, hits: [], probes: [1] }))`,
    ]) {
      const { scan, work } = child(program);
      await expect(scan(request), program).rejects.toMatchObject({ code: "scan-failed" });
      expect(readdirSync(work)).toEqual([]);
    }
  });

  it("ends when it is stopped", async () => {
    const { scan, work } = child("writeFileSync(answer + '.begun', ''); setInterval(() => {}, 1000);");
    const stop = new AbortController();
    const running = scan(request, stop.signal);
    await vi.waitFor(() => expect(readdirSync(work)).toContain("scan-answer.json.begun"), { timeout: 20_000 });
    stop.abort();
    await expect(running).rejects.toMatchObject({ code: "scan-failed" });
  });

  it("is not begun with a program that is not there", async () => {
    const { work } = child("");
    const scan = createScanProcess({ dir: work, command: ["/nowhere/node"] });
    await expect(scan(request)).rejects.toMatchObject({ code: "scan-failed" });
  });
});
