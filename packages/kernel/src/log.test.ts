import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { manualClock } from "./clock.ts";
import { createLog, silentLog, sparing, type LogFields } from "./log.ts";

test("a warning that one node causes all the time is written a few times a minute, and how often it was not", () => {
  const clock = manualClock();
  const lines: [string, LogFields | undefined][] = [];
  const { warn } = sparing({ ...silentLog, warn: (event, fields) => void lines.push([event, fields]) }, clock, 3);
  for (let i = 0; i < 10; i++) warn("reports-rejected", { node: "evil" });
  warn("reports-rejected", { node: "other" });
  warn("status-items-refused", { node: "evil" });
  expect(lines).toHaveLength(5);
  clock.advance(60_000);
  warn("reports-rejected", { node: "evil" });
  expect(lines.at(-1)).toEqual(["reports-rejected", { node: "evil", unwritten: 7 }]);
  warn("reports-rejected", { node: "evil" });
  expect(lines.at(-1)).toEqual(["reports-rejected", { node: "evil" }]);
});

test("a line names no key twice: what an event says of a field stands for what every line says of it", async () => {
  const dir = mkdtempSync(join(tmpdir(), "daicho-log-"));
  try {
    const file = join(dir, "log");
    const log = createLog({ name: "hq", role: "relay" }, "info", file).child({ part: "hub" });
    log.info("enrolled", { node: "n1", role: "agent" });
    const [line = ""] = await vi.waitFor(() => {
      const text = readFileSync(file, "utf8");
      expect(text).toContain("\n");
      return text.split("\n");
    });
    expect(JSON.parse(line)).toMatchObject({ name: "hq", part: "hub", event: "enrolled", node: "n1", role: "agent" });
    const keys = [...line.matchAll(/"(\w+)":/g)].map((m) => m[1]);
    expect(new Set(keys).size).toBe(keys.length);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
