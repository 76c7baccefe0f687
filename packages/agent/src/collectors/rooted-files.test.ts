import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeRoot, put } from "./fixtures/root.ts";
import { rootedFiles } from "./rooted-files.ts";

describe("files below an offline root", () => {
  const outside = makeRoot({ secret: "outside" });

  it("follow absolute links, chains of links and `..` as if the root were /", () => {
    const root = makeRoot({
      "real/file": "inside",
      "a/absolute": { link: "/real/file" },
      "a/relative": { link: "../real/file" },
      "a/above": { link: "../../../../../../real/file" },
      b: { link: "/a" },
      "a/chain": { link: "/b/absolute" },
    });
    const files = rootedFiles(root, false);
    for (const path of [
      "/real/file",
      "/a/absolute",
      "/a/relative",
      "/a/above",
      "/b/chain",
      "b/../b/chain",
      "/../real/file",
    ]) {
      expect(files.readText(path, 100)).toBe("inside");
    }
  });

  it("never lead outside, whatever the links of the image say", () => {
    const root = makeRoot({
      direct: { link: join(outside, "secret") },
      parent: { link: outside },
      upwards: { link: `../../../../../../..${outside}/secret` },
    });
    const files = rootedFiles(root, false);
    for (const path of ["/direct", "/parent/secret", "/upwards"]) {
      expect(() => files.read(path, 100)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    }
    expect(files.exists("/direct")).toBe(false);
    expect(() => files.list("/parent")).toThrow();
  });

  it("end links that run in a circle with a fault, and do not call them absent", () => {
    const files = rootedFiles(makeRoot({ a: { link: "b" }, b: { link: "/a" } }), false);
    expect(() => files.read("/a", 100)).toThrow("too many symbolic links");
    expect(files.exists("/a/x")).toBe(true);
    expect(files.exists("/nothing/x")).toBe(false);
  });

  it("are read up to their bound, also where they grow or say no size", () => {
    const root = makeRoot({ big: "x".repeat(1000), empty: "" });
    const files = rootedFiles(root, false);
    expect(files.read("/big", 1000)).toHaveLength(1000);
    expect(() => files.read("/big", 999)).toThrow(expect.objectContaining({ code: "too-large" }));
    expect(files.readText("/empty", 10)).toBe("");
    if (process.platform !== "linux") return;
    expect(rootedFiles("/", true).readText("/proc/self/status", 100_000)).toContain("Pid:");
    expect(() => rootedFiles("/", true).read("/proc/self/status", 20)).toThrow(
      expect.objectContaining({ code: "too-large" }),
    );
    expect(() => rootedFiles("/", true).read("/dev/zero", 20)).toThrow("is not a regular file");
  });

  it("may be a FIFO, which blocks nobody, or a directory", () => {
    const root = makeRoot({ "dir/x": "" });
    const files = rootedFiles(root, false);
    if (process.platform !== "win32") {
      execFileSync("mkfifo", [join(root, "fifo")]);
      expect(() => files.read("/fifo", 100)).toThrow("is not a regular file");
    }
    expect(() => files.read("/dir", 100)).toThrow();
  });

  it("lie below a root that is itself a link", () => {
    const root = makeRoot({ "real/etc/hostname": "h", "real/link": { link: "/etc/hostname" } });
    put(root, "alias", { link: "real" });
    expect(rootedFiles(join(root, "alias"), false).readText("/link", 10)).toBe("h");
    writeFileSync(join(root, "etc"), "not in the root");
  });
});
