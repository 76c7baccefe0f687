import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseCondition, type Probe } from "@daicho/policy";
import { describe, expect, it } from "vitest";
import { makeRoot } from "../collectors/fixtures/root.ts";
import { evaluateFileProbes, politeShare, restAfter, type FileProbeQuery } from "./index.ts";
import { barredMounts } from "./mounts.ts";
import { search, type SearchRequest, type SearchResult } from "./search.ts";

function probe(text: string): Probe {
  const { value, faults } = parseCondition(text);
  if (value?.op !== "term") throw new Error(`${text}: ${JSON.stringify(faults)}`);
  return value.term;
}

const run = (root: string, probes: string[], more: Partial<FileProbeQuery> = {}) =>
  evaluateFileProbes({ live: false, root, probes: probes.map(probe), fileVersion: () => undefined, ...more });
const places = (result: SearchResult) =>
  Object.fromEntries(result.hits.map(({ probe, found }) => [probe, found["path"]]));

describe("the file walk", () => {
  it("finds files by exact name, glob and path, whatever the case and width of letters", async () => {
    const root = makeRoot({
      "opt/LibreOffice7.6/program/SOFFICE.bin": "12345",
      "opt/Ｗｉｄｅ/data.db": "",
      "usr/bin/tool-1.2": "",
      "usr/bin/other": "",
    });
    const probes = [
      'file(name = "soffice.bin", path ~ "*/libreoffice7*/program/*")',
      'file(name ~ "TOOL-?.*")',
      'file(path = "\\\\usr\\\\bin\\\\other")',
      'file(path ~ "*/wide/*")',
      'file(path ~ "*/program/soffice.bin")',
      'file(path ~ "*/bin/tool-?.2")',
      'file(name = "soffice.bin", path ~ "*/libreoffice6*")',
      'file(name ~ "*.exe")',
    ];
    const result = await run(root, probes);
    expect(result.errors).toEqual([]);
    expect(Object.values(places(result)).sort()).toEqual([
      "/opt/LibreOffice7.6/program/SOFFICE.bin",
      "/opt/LibreOffice7.6/program/SOFFICE.bin",
      "/opt/Ｗｉｄｅ/data.db",
      "/usr/bin/other",
      "/usr/bin/tool-1.2",
      "/usr/bin/tool-1.2",
    ]);
    expect(result.hits.find(({ probe }) => probe.includes("libreoffice7"))?.found).toEqual({
      name: "SOFFICE.bin",
      path: "/opt/LibreOffice7.6/program/SOFFICE.bin",
      size: "5",
    });
    expect(result).toMatchObject({ complete: true, files: 4 });
  });

  it("knows a mounted Windows disk by its drive's letter too", async () => {
    const root = makeRoot({ "Program Files/App/App.exe": "12345" });
    const probes = [
      `file(path ~ "C:\\\\Program Files\\\\*\\\\app.exe")`,
      `file(path = "c:\\\\program files\\\\app\\\\app.exe", size = 5)`,
    ];
    const result = await run(root, [...probes, `file(path ~ "D:\\\\*\\\\app.exe")`]);
    expect(result.hits.map(({ found }) => found["path"])).toEqual(Array(2).fill("/Program Files/App/App.exe"));
  });

  it("reads no version before name, path and size fit, and hashes only what fits all else", async () => {
    const root = makeRoot({ "a/app.exe": "1234567890", "b/app.exe": "12345", "c/app.exe": "1234567890" });
    const asked: string[] = [];
    const sha256 = createHash("sha256").update("1234567890").digest("hex");
    const result = await run(
      root,
      [
        `file(name = "app.exe", path ~ "/[bc]/*", size = 10)`,
        `file(name = "app.exe", size > 5, version >= "2", sha256 = "${sha256}")`,
        `file(name = "app.exe", sha256 = "${sha256.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))}")`,
      ],
      {
        fileVersion(path) {
          asked.push(path.slice(root.length));
          return { version: path.includes("/a/") ? "1.9" : "2.0.1", product: "App", company: "株式会社" };
        },
      },
    );
    expect(asked.sort()).toEqual(["/a/app.exe", "/c/app.exe"]); // the last probe fails at its hash, before a version is of interest
    expect(result.hits.map(({ found }) => found)).toEqual([
      {
        name: "app.exe",
        path: "/c/app.exe",
        size: "10",
        version: "2.0.1",
        product: "App",
        company: "株式会社",
        sha256,
      },
    ]);
  });

  it("gives the file with the smallest path where several satisfy a probe", async () => {
    const root = makeRoot({ "z/x.bin": "", "m/n/x.bin": "", "m/a/x.bin": "", "y/x.bin": "" });
    expect(places(await run(root, ['file(name = "x.bin")']))).toEqual({ 'file(name = "x.bin")': "/m/a/x.bin" });
  });

  it("follows no link to a directory, takes a link to a file for the file, and never leaves the root", async () => {
    const outside = makeRoot({ "treasure.bin": "gold" });
    const root = makeRoot({
      "dir/real.bin": "123",
      "dir/loop": { link: ".." },
      "dir/self": { link: "." },
      "bin/linked.bin": { link: "/dir/real.bin" },
      "bin/treasure.bin": { link: join(outside, "treasure.bin") },
      "bin/away": { link: outside },
      "bin/dangling.bin": { link: "/nowhere" },
    });
    const result = await run(root, [
      'file(name ~ "*.bin")',
      'file(name = "linked.bin")',
      'file(name = "treasure.bin")',
      'file(name = "dangling.bin")',
    ]);
    expect(result.errors).toEqual([]);
    expect(places(result)).toEqual({
      'file(name ~ "*.bin")': "/bin/linked.bin",
      'file(name = "linked.bin")': "/bin/linked.bin",
    });
    expect(result.hits[0]?.found["size"]).toBe("3");
    expect(result.directories).toBe(3);
  });

  it("neither enters nor looks at what is excluded", async () => {
    const root = makeRoot({
      "home/a/x.bin": "",
      "var/cache/x.bin": "",
      "srv/x.bin": "",
      "srv2/x.bin": "",
      "srv2/y.bin": "",
      "opt/keep/x.bin": "",
    });
    const result = await run(root, ['file(name = "x.bin")', 'file(name = "y.bin")'], {
      exclude: ["/home/*", "*/cache", "/srv", "/srv2/x.bin"],
    });
    expect(places(result)).toEqual({
      'file(name = "x.bin")': "/opt/keep/x.bin",
      'file(name = "y.bin")': "/srv2/y.bin",
    });
    const started = await run(root, ['file(name = "x.bin")'], { starts: ["/srv", "/var/cache", "/srv", "/absent"] });
    expect(places(started)).toEqual({ 'file(name = "x.bin")': "/srv/x.bin" });
    expect(started.directories).toBe(2);
  });

  it("lists a directory that it may not read as an error, bounded, and goes on", async () => {
    const locked = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`d${i}/x.bin`, ""]));
    const root = makeRoot({ ...locked, "open/x.bin": "" });
    chmodSync(root, 0o755);
    for (let i = 0; i < 150; i++) chmodSync(join(root, `d${i}`), 0);
    if (process.platform === "win32") return;
    const isRoot = process.getuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      const result = await run(root, ['file(name = "x.bin")']);
      expect(places(result)).toEqual({ 'file(name = "x.bin")': "/open/x.bin" });
      expect(result.errors.length).toBeLessThanOrEqual(100);
      expect(result.errors[0]).toMatchObject({ code: "unreadable", message: "cannot be read (EACCES)" });
      expect(result.errors[0]?.path).toMatch(/^\/d\d+$/);
      expect(result.errors.at(-1)?.message).toMatch(/^5\d more errors/);
    } finally {
      if (isRoot) process.seteuid?.(0);
      for (let i = 0; i < 150; i++) chmodSync(join(root, `d${i}`), 0o755);
    }
  });

  it("ends with an error that says where when its budget is spent", async () => {
    const root = makeRoot(Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`d${i % 20}/f${i}`, ""])));
    const files = await run(root, ['file(name = "x")'], { maxFiles: 10 });
    expect(files).toMatchObject({
      complete: false,
      errors: [{ code: "too-large", message: expect.stringContaining("10 files") }],
    });
    expect(files.files).toBeLessThan(60);
    let time = 0;
    const request: SearchRequest = {
      root,
      live: false,
      starts: ["/"],
      exclude: [],
      crossFileSystems: false,
      maxFiles: 1e6,
      probes: [probe('file(name = "x")')],
      maxSeconds: 5,
    };
    const steps = search(request, { fileVersion: () => undefined, now: () => (time += 1000), platform: "linux" });
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    expect(step.value).toMatchObject({ complete: false, errors: [{ message: expect.stringContaining("5 seconds") }] });
  });

  it("reports a version resource that cannot be read, a name that is no text, and passes over what is no file", async () => {
    const root = makeRoot({ "a/app.exe": "x", "app.exe/inner": "" });
    if (process.platform === "linux") {
      execFileSync("mkfifo", [join(root, "a/pipe.exe")]);
      execFileSync("sh", ["-c", `mkdir "${root}/$(printf 'bad\\377')"`]);
    }
    const result = await run(root, ['file(name = "app.exe", version > "1")', 'file(name = "pipe.exe")'], {
      fileVersion: () => {
        throw Object.assign(new Error("no"), { code: "EIO" });
      },
    });
    expect(result.hits).toEqual([]);
    expect(result.errors).toContainEqual({ path: "/a/app.exe", code: "unreadable", message: "cannot be read (EIO)" });
    if (process.platform === "linux") expect(result.errors).toHaveLength(2);
  });

  it("answers at once where nothing is asked, and never rejects", async () => {
    expect(await run("/does/not/exist", [])).toMatchObject({ hits: [], errors: [], complete: true });
    expect(await run("/does/not/exist", ['file(name = "x")'])).toMatchObject({ hits: [], complete: false });
    const aborted = AbortSignal.abort();
    const root = makeRoot({ "a/x": "" });
    const result = await run(root, ['file(name = "x")'], { signal: aborted });
    expect(result).toMatchObject({ complete: false, errors: [{ code: "failed" }] });
  });
});

describe("mounts", () => {
  it("are doors when they are network or pseudo file systems, the last mount on a place deciding", () => {
    const info = [
      "22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw",
      "23 28 0:22 / /proc rw - proc proc rw",
      "28 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
      "40 28 0:50 / /mnt/net\\040share rw - nfs4 server:/x rw",
      "41 28 8:2 / /home rw - xfs /dev/sda2 rw",
      "42 28 0:51 / /home/u/remote rw - fuse.sshfs u@h: rw",
      "43 28 8:3 / /mnt/windows rw - fuseblk /dev/sda3 rw",
      "44 28 0:52 / /later rw - tmpfs tmpfs rw",
      "45 28 8:4 / /later rw - ext4 /dev/sda4 rw",
      "garbage",
      "46 28 0:53 /",
    ].join("\n");
    expect([...barredMounts(info)].sort()).toEqual(["/home/u/remote", "/mnt/net share", "/proc", "/sys"]);
  });

  it("keep a walk over the live machine out of /proc, unless told", async () => {
    if (process.platform !== "linux") return;
    const others = readdirSync("/").filter((name) => name !== "proc");
    const exclude = [...others.map((name) => `/${name}`), "/proc/*/*"];
    const query = {
      probes: [probe('file(name = "cpuinfo")')],
      root: "/",
      live: true,
      exclude,
    } as const;
    expect(await evaluateFileProbes(query)).toMatchObject({ hits: [], directories: 1 });
    const told = await evaluateFileProbes({ ...query, crossFileSystems: true });
    expect(told.hits.map(({ found }) => found["path"])).toEqual(["/proc/cpuinfo"]);
    const named = await evaluateFileProbes({ ...query, starts: ["/proc"] });
    expect(named.hits).toHaveLength(1);
  });
});

describe("a polite walk", () => {
  it("rests so long after each slice that it keeps to its share of a core (quality.md: at most 5 %)", () => {
    expect(restAfter(20, politeShare)).toBe(380);
    expect(restAfter(33, politeShare)).toBe(627); // a large directory makes a long slice
    expect(restAfter(20, 1)).toBe(0);
    expect(restAfter(60_000, politeShare)).toBe(10_000); // a disk that slept is not slept after
  });
});
