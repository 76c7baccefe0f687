import { spawn } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualClock, silentLog } from "@daicho/kernel";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createCrashFs, type CrashFs } from "./fixtures/crash-fs.ts";
import { encodeRecord, headerBytes } from "./format.ts";
import { openSpool, type Spool, type SpoolOptions } from "./spool.ts";

let dir: string;
let fs: CrashFs;
let opened: Spool[];
const clock = manualClock(Date.UTC(2026, 10, 21));

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "daicho-spool-"));
  fs = createCrashFs();
  opened = [];
});
afterEach(async () => {
  for (const spool of opened) await spool.close();
  rmSync(dir, { recursive: true, force: true });
});

async function open(options: Partial<SpoolOptions> = {}): Promise<Spool> {
  const spool = await openSpool({
    dir,
    maxBytes: 1_000_000,
    segmentBytes: 1_000,
    fs,
    log: silentLog,
    clock,
    ...options,
  });
  opened.push(spool);
  return spool;
}

const texts = (...names: string[]): Buffer[] => names.map((name) => Buffer.from(name));
const numbered = (from: number, to: number): Buffer[] =>
  Array.from({ length: to - from + 1 }, (_, i) => Buffer.from(`record ${from + i} `.padEnd(100, ".")));
const segments = (): string[] =>
  readdirSync(dir)
    .filter((name) => name.endsWith(".seg"))
    .sort();

async function contents(spool: Spool): Promise<string[]> {
  const found: string[] = [];
  for (let from = 0; ;) {
    const page = await spool.read(from, { maxRecords: 50, maxBytes: 1e6 });
    if (page.length === 0) return found;
    for (const record of page) found.push(record.data.toString().replaceAll(".", "").trim());
    from = (page.at(-1)?.position ?? 0) + 1;
  }
}
const names = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `record ${from + i}`);

function flip(file: string, at: number): void {
  const bytes = readFileSync(join(dir, file));
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(join(dir, file), bytes);
}

test("spool §1.1: what append resolved was synced first, and so was the name of its segment", async () => {
  const spool = await open();
  await spool.append(texts("a", "b"));
  fs.powerLoss(() => 0);
  await spool.close();
  expect(await contents(await open())).toEqual(["a", "b"]);
});

test("spool §1.2: records come back in the order of their appends, with rising positions", async () => {
  const spool = await open();
  expect(await spool.append(texts("a", "b"))).toEqual({ first: 1, last: 2 });
  expect(await spool.append(texts("c"))).toEqual({ first: 3, last: 3 });
  const page = await spool.read(2, { maxRecords: 10, maxBytes: 100 });
  expect(page.map((r) => [r.position, r.at, r.data.toString()])).toEqual([
    [2, clock.now(), "b"],
    [3, clock.now(), "c"],
  ]);
});

test("spool §1.2: a record larger than the limit of a read is still handed out, alone", async () => {
  const spool = await open();
  await spool.append([Buffer.alloc(5000), Buffer.alloc(10)]);
  expect((await spool.read(1, { maxRecords: 10, maxBytes: 100 })).map((r) => r.data.length)).toEqual([5000]);
});

test("spool §1.4: a call that would exceed the limit is refused whole and writes nothing; smaller ones still fit", async () => {
  const spool = await open({ maxBytes: 1500 });
  await spool.append(numbered(1, 9));
  const before = spool.stats();
  await expect(spool.append(numbered(10, 13))).rejects.toMatchObject({ code: "spool-full", status: 503 });
  expect(spool.stats()).toEqual(before);
  await spool.append(numbered(10, 11));
  expect(await contents(spool)).toEqual(names(1, 11));
});

test("spool §1.4: calls that wait together never exceed the limit together", async () => {
  const spool = await open({ maxBytes: 1500 });
  const calls = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => spool.append(numbered(i, i))));
  expect(calls.filter((call) => call.status === "fulfilled")).toHaveLength(11);
  expect(spool.stats().bytes).toBeLessThanOrEqual(1500);
});

test("spool §1.5: a full spool takes records again once old ones are acknowledged, and had dropped none", async () => {
  const spool = await open({ maxBytes: 1500 });
  await spool.append(numbered(1, 11));
  await expect(spool.append(numbered(12, 12))).rejects.toMatchObject({ code: "spool-full" });
  expect(await contents(spool)).toEqual(names(1, 11));
  await spool.ack(11);
  await spool.append(numbered(12, 12));
  expect(await contents(spool)).toEqual(names(12, 12));
});

test("spool §1.6: appends that arrive together share one sync", async () => {
  let syncs = 0;
  const counting = {
    ...fs,
    async open(path: string, mode: "read" | "create" | "update") {
      const file = await fs.open(path, mode);
      return { ...file, datasync: () => (syncs++, file.datasync()) };
    },
  };
  const spool = await open({ fs: counting, segmentBytes: 100_000 });
  await Promise.all(Array.from({ length: 200 }, (_, i) => spool.append(numbered(i, i))));
  expect(syncs).toBe(1);
  expect(await contents(spool)).toEqual(names(0, 199));
});

test("spool §1.7: reading goes on while records are appended and acknowledged", async () => {
  const spool = await open();
  await spool.append(numbered(1, 30));
  const [page] = await Promise.all([
    spool.read(1, { maxRecords: 30, maxBytes: 1e6 }),
    spool.ack(25),
    spool.append(numbered(31, 60)),
  ]);
  // What was acknowledged meanwhile may be missing; what was not is there, in order.
  expect(page.map((r) => r.position)).toEqual(page.map((r) => r.position).sort((a, b) => a - b));
  expect(await contents(spool)).toEqual(names(26, 60));
});

test("spool §2.1: files that are no segments are left alone", async () => {
  writeFileSync(join(dir, "notes.txt"), "mine");
  const spool = await open();
  await spool.append(texts("a"));
  await spool.ack(1);
  await spool.close();
  expect(readFileSync(join(dir, "notes.txt"), "utf8")).toBe("mine");
});

test("spool §2.4: each start begins a new segment and never writes to an old one", async () => {
  const first = await open();
  await first.append(texts("a"));
  await first.close();
  const [old = ""] = segments();
  const second = await open();
  await second.append(texts("b"));
  expect(segments()).toHaveLength(2);
  expect(statSync(join(dir, old)).size).toBe(headerBytes + 1);
  expect(await contents(second)).toEqual(["a", "b"]);
});

test("spool §3.1: a record that stands in the file twice, or behind a later one, is read once and in order", async () => {
  const spool = await open();
  await spool.append(numbered(1, 5));
  await spool.close();
  const [file = ""] = segments();
  const bytes = readFileSync(join(dir, file));
  const record = (n: number): Buffer => bytes.subarray((n - 1) * 132, n * 132);
  writeFileSync(
    join(dir, file),
    Buffer.concat([record(1), record(2), record(1), record(2), record(4), record(3), record(5)]),
  );
  expect(await contents(await open())).toEqual(["record 1", "record 2", "record 4", "record 5"]);
});

test("spool §3.2: a torn record at the end of the last segment is cut off, everything before it survives", async () => {
  const spool = await open();
  await spool.append(numbered(1, 5));
  await spool.close();
  const [file = ""] = segments();
  truncateSync(join(dir, file), 4 * (headerBytes + 100) + 60);
  const again = await open();
  expect(await contents(again)).toEqual(names(1, 4));
  expect(again.damage()).toEqual([{ file, offset: 4 * 132, bytes: 60, kind: "torn" }]);
  expect(statSync(join(dir, file)).size).toBe(4 * 132);
  await again.close();
  expect((await open()).damage()).toEqual([]);
});

test("spool §3.3: a flipped bit costs the record it is in and no other, wherever in it", async () => {
  for (const place of [0, 8, 13, 20, 28, 40, 131]) {
    const spool = await open();
    await spool.append(numbered(1, 7));
    await spool.close();
    const file = segments().at(-1) ?? "";
    flip(file, 3 * 132 + place);
    const again = await open();
    expect(await contents(again)).toEqual([...names(1, 3), ...names(5, 7)]);
    expect(again.damage()).toEqual([{ file, offset: 3 * 132, bytes: 132, kind: "corrupt" }]);
    expect(again.stats()).toMatchObject({ records: 6, damagedPlaces: 1, damagedBytes: 132 });
    await again.ack(again.stats().last);
    await again.close();
  }
});

test("spool §3.3: damage that happens while the spool is open is stepped over when it is read", async () => {
  const spool = await open();
  await spool.append(numbered(1, 7));
  const [file = ""] = segments();
  flip(file, 2 * 132 + 50);
  expect(await contents(spool)).toEqual([...names(1, 2), ...names(4, 7)]);
  await contents(spool);
  expect(spool.stats().damagedPlaces).toBe(1);
});

test("spool §3.3: a file of nothing but noise yields no record and does not stop the start", async () => {
  const spool = await open();
  await spool.append(numbered(1, 5));
  await spool.append(numbered(6, 10));
  await spool.close();
  const [file = ""] = segments();
  writeFileSync(join(dir, file), Buffer.from("0123456789abcdef".repeat(300)));
  const again = await open();
  expect(await contents(again)).toEqual(names(6, 10));
});

test("spool §3.4: a payload that contains a whole record yields no second record, even when the real one is damaged", async () => {
  const forged = Buffer.alloc(headerBytes + 6);
  encodeRecord(forged, 0, { marker: Buffer.alloc(8, 1), position: 2, at: 0, data: Buffer.from("forged") });
  const spool = await open();
  await spool.append([forged, Buffer.from("next")]);
  await spool.close();
  flip(segments()[0] ?? "", 10);
  expect(await contents(await open())).toEqual(["next"]);
});

test("spool §3.5: leftovers of a failed write are outranked by the next segment and not read", async () => {
  const spool = await open();
  await spool.append(texts("a"));
  // The sync fails, and so does cutting back: the refused record is whole and in the file.
  fs.failNext("datasync", "EIO");
  fs.failNext("truncate", "EIO");
  await expect(spool.append(texts("refused"))).rejects.toMatchObject({ code: "spool-io" });
  expect(readFileSync(join(dir, segments()[0] ?? "")).includes("refused")).toBe(true);
  await spool.append(texts("b"));
  expect(await contents(spool)).toEqual(["a", "b"]);
  await spool.close();
  const again = await open();
  expect(await contents(again)).toEqual(["a", "b"]);
  expect(again.damage().map((d) => d.kind)).toEqual(["leftover"]);
});

test("spool §4.2: a lost acked file means that records are sent again, nothing else", async () => {
  const spool = await open();
  await spool.append(numbered(1, 5));
  await spool.ack(3);
  expect(await contents(spool)).toEqual(names(4, 5));
  await spool.close();
  unlinkSync(join(dir, "acked"));
  expect(await contents(await open())).toEqual(names(1, 5));
});

test("spool §4.1: the slots are written in turn: with the newest one spoiled, the one before it holds", async () => {
  const spool = await open();
  await spool.append(numbered(1, 9));
  for (const upTo of [2, 4, 6]) await spool.ack(upTo);
  await spool.close();
  const bytes = readFileSync(join(dir, "acked"));
  const newest = bytes.readUInt8(0) === 6 ? 0 : 16;
  bytes[newest + 8] = ~bytes.readUInt8(newest + 8) & 0xff;
  writeFileSync(join(dir, "acked"), bytes);
  const again = await open();
  expect(again.stats().acked).toBe(4);
  // And the next one goes where the spoiled one was.
  await again.ack(7);
  await again.close();
  const slots = readFileSync(join(dir, "acked"));
  expect([slots.readUInt8(0), slots.readUInt8(16)].sort()).toEqual([4, 7]);
});

test("spool §4.2: an acknowledgement survives a restart and never goes back or beyond what was appended", async () => {
  const spool = await open();
  await spool.append(numbered(1, 5));
  await spool.ack(4);
  await spool.ack(2);
  await spool.close();
  const again = await open();
  expect(await contents(again)).toEqual(names(5, 5));
  await again.ack(1_000_000);
  expect(again.stats()).toMatchObject({ acked: 5, records: 0 });
  expect(await again.append(numbered(6, 6))).toEqual({ first: 6, last: 6 });
  expect(await contents(again)).toEqual(names(6, 6));
});

test("spool §4.2: a disk that takes no acknowledgement does not fail it", async () => {
  const spool = await open();
  await spool.append(numbered(1, 2));
  fs.failNext("write", "ENOSPC");
  await spool.ack(1);
  expect(await contents(spool)).toEqual(names(2, 2));
});

test("spool §4.3: segments are deleted once all their records are acknowledged", async () => {
  const spool = await open();
  for (let i = 1; i <= 30; i++) await spool.append(numbered(i, i));
  expect(segments().length).toBeGreaterThan(3);
  await spool.ack(29);
  expect(segments()).toHaveLength(1);
  await spool.ack(30);
  await spool.close();
  expect(segments()).toHaveLength(0);
  expect(await (await open()).append(texts("x"))).toEqual({ first: 31, last: 31 });
});

test("spool §5.2: a segment missing from the middle is reported, the rest is read", async () => {
  const spool = await open();
  for (let i = 1; i <= 21; i++) await spool.append(numbered(i, i));
  await spool.close();
  const [, middle = "", after = ""] = segments();
  unlinkSync(join(dir, middle));
  const again = await open();
  expect(await contents(again)).toEqual([...names(1, 7), ...names(15, 21)]);
  expect(again.damage()).toEqual([{ file: after, offset: 0, bytes: 0, kind: "missing" }]);
  expect(again.stats().records).toBe(14);
});

test("spool §5.3: a directory restored from an older copy is sent again from there, and takes new records behind", async () => {
  const copy = `${dir}-copy`;
  const spool = await open();
  await spool.append(numbered(1, 20));
  await spool.ack(5);
  await spool.close();
  cpSync(dir, copy, { recursive: true });
  const later = await open();
  await later.append(numbered(21, 40));
  await later.ack(35);
  await later.close();
  rmSync(dir, { recursive: true });
  cpSync(copy, dir, { recursive: true });
  rmSync(copy, { recursive: true });
  const again = await open();
  expect(await contents(again)).toEqual(names(6, 20));
  await again.append(numbered(41, 41));
  expect(await contents(again)).toEqual([...names(6, 20), "record 41"]);
});

test("spool §6.1: a directory that is open cannot be opened a second time", async () => {
  const spool = await open();
  await expect(open()).rejects.toMatchObject({ code: "spool-locked" });
  await spool.append(texts("still mine"));
  await spool.close();
  expect(await contents(await open())).toEqual(["still mine"]);
});

test("spool §6.1: a directory that another living process holds is refused, and opens once that process was killed", async () => {
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const pid = other.pid ?? 0;
  // As a system without /proc would leave it, and as Linux leaves it.
  for (const started of ["", startOf(pid)]) {
    writeFileSync(join(dir, "lock"), JSON.stringify({ pid, started, instance: "other" }));
    await expect(open()).rejects.toMatchObject({ code: "spool-locked", details: { pid } });
  }
  const ended = new Promise((resolve) => other.once("close", resolve));
  other.kill("SIGKILL");
  await ended;
  await (await open()).close();
});

function startOf(pid: number): string {
  if (process.platform !== "linux") return "";
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return `${boot}/${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""}`;
}

test("spool §6.2: a process id that was given to another process since, and a lock of no sense, are taken over", async () => {
  const stale = [
    JSON.stringify({ pid: process.pid, started: "another boot/1", instance: "x" }),
    JSON.stringify({ pid: 2 ** 22 + 1, started: "", instance: "x" }),
    "",
    "not json",
    "null",
  ];
  for (const text of stale) {
    writeFileSync(join(dir, "lock"), text);
    await (await open()).close();
  }
});

test("spool §6: of many that open at once exactly one gets the directory", async () => {
  writeFileSync(join(dir, "lock"), "left behind");
  const tries = await Promise.allSettled(Array.from({ length: 12 }, () => open()));
  expect(tries.filter((t) => t.status === "fulfilled")).toHaveLength(1);
});

test("spool §7.1: a full disk refuses the call, keeps what was stored, and takes records again when there is room", async () => {
  const spool = await open();
  await spool.append(texts("a"));
  fs.failNext("write", "ENOSPC");
  await expect(spool.append(texts("b", "c"))).rejects.toMatchObject({ code: "spool-full" });
  expect(await contents(spool)).toEqual(["a"]);
  await spool.append(texts("d"));
  expect(await contents(spool)).toEqual(["a", "d"]);
  await spool.close();
  const again = await open();
  expect(await contents(again)).toEqual(["a", "d"]);
  expect(again.damage()).toEqual([]);
});

test("spool §7.1: a segment that cannot be made or named refuses the call and costs nothing", async () => {
  const spool = await open();
  fs.failNext("create", "EACCES");
  await expect(spool.append(texts("a"))).rejects.toMatchObject({ code: "spool-io" });
  fs.failNext("syncDir", "EIO");
  await expect(spool.append(texts("b"))).rejects.toMatchObject({ code: "spool-io" });
  await spool.append(texts("c"));
  expect(await contents(spool)).toEqual(["c"]);
  expect(spool.stats()).toMatchObject({ records: 1, bytes: headerBytes + 1 });
});

test("a record beyond 16 MiB is refused by itself", async () => {
  const spool = await open({ maxBytes: 1e9 });
  await expect(spool.append([Buffer.alloc(16 * 1024 * 1024 + 1)])).rejects.toMatchObject({
    code: "spool-record-too-large",
  });
});

test("a closed spool refuses records and reads; closing waits for appends under way", async () => {
  const spool = await open();
  const appended = spool.append(texts("a"));
  await spool.close();
  await appended;
  await expect(spool.append(texts("b"))).rejects.toMatchObject({ code: "spool-closed" });
  await expect(spool.read(1, { maxRecords: 1, maxBytes: 1 })).rejects.toMatchObject({ code: "spool-closed" });
  expect(await contents(await open())).toEqual(["a"]);
});

test("an append made at the very moment another is answered is not forgotten", async () => {
  const spool = await open();
  for (let i = 0; i < 50; i++) await spool.append(texts("x"));
  await spool.append(texts("y")).then(() => spool.append(texts("z")));
  expect(spool.stats().records).toBe(52);
});

test("what waits in a segment that is filled slowly has not waited since the segment's first record", async () => {
  const spool = await open({ segmentBytes: 64 * 1024 });
  await spool.append(texts("a"));
  clock.advance(3_600_000);
  const begun = clock.now();
  await spool.append(texts("b"));
  await spool.ack(1);
  expect(spool.stats()).toMatchObject({ records: 1, oldestAt: begun });
  await spool.close();
  expect((await open({ segmentBytes: 64 * 1024 })).stats()).toMatchObject({ records: 1, oldestAt: begun });
});

test("stats tell how many records wait, since when, and how much disk they take", async () => {
  const spool = await open();
  expect(spool.stats()).toMatchObject({ records: 0, bytes: 0, oldestAt: undefined, last: 0, acked: 0 });
  const begun = clock.now();
  await spool.append(numbered(1, 9));
  clock.advance(60_000);
  await spool.append(numbered(10, 12));
  expect(spool.stats()).toMatchObject({ records: 12, bytes: 12 * 132, oldestAt: begun });
  await spool.ack(9);
  expect(spool.stats()).toMatchObject({ records: 3, oldestAt: begun + 60_000 });
});
