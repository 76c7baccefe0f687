import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { live, makeRoot, offline } from "../fixtures/root.ts";
import { createFindings } from "../findings.ts";
import { runCollector } from "../collector.ts";
import { dpkg, parseStatus } from "./dpkg.ts";

const status = readFileSync(new URL("./fixtures/status", import.meta.url), "utf8");

async function scan(entries: Parameters<typeof makeRoot>[0]) {
  return runCollector(dpkg, offline(makeRoot(entries)));
}

describe("the dpkg collector", () => {
  it("lists exactly the packages that are installed now, copies per architecture apart", async () => {
    const { titles, errors } = await scan({ "var/lib/dpkg/status": status });
    expect(errors).toEqual([]);
    expect(titles.map((title) => `${title.name} ${title.version} ${title.arch}`)).toEqual([
      "adduser 3.134 all",
      "libc6 2.36-9+deb12u10 amd64",
      "libc6 2.36-9+deb12u10 i386",
      "held-back 1:2.0~rc1-1 amd64",
      "waits-for-triggers 4 amd64",
    ]);
  });

  it("lists a package with two records once, as the later one says, and names the place", async () => {
    const record = (name: string, state: string, version: string): string =>
      `Package: ${name}\nStatus: ${state}\nArchitecture: amd64\nVersion: ${version}\n\n`;
    const { titles, errors } = await scan({
      "var/lib/dpkg/status":
        record("renewed", "install ok installed", "1") +
        record("gone", "install ok installed", "1") +
        record("renewed", "install ok installed", "2") +
        record("gone", "deinstall ok config-files", "1"),
    });
    expect(titles.map((title) => `${title.name} ${title.version}`)).toEqual(["renewed 2"]);
    expect(errors.map((error) => error.message)).toEqual([
      "line 11: renewed again, after line 1; the later one counts",
      "line 16: gone again, after line 6; the later one counts",
    ]);
  });

  it("gives maintainer, size in bytes and the install date from the file list", async () => {
    const list = (mtime: string) => ({ content: "/.\n", mtime });
    const { titles } = await scan({
      "var/lib/dpkg/status": status,
      "var/lib/dpkg/info/adduser.list": list("2026-01-02T03:04:05.678Z"),
      "var/lib/dpkg/info/libc6:amd64.list": list("2026-02-03T00:00:00Z"),
      "var/lib/dpkg/info/libc6:i386.list": list("2026-03-04T00:00:00Z"),
      "var/lib/dpkg/info/held-back.list": list("1970-01-01T00:00:00Z"),
    });
    expect(titles[0]).toEqual({
      name: "adduser",
      version: "3.134",
      publisher: "Debian Adduser Developers",
      source: "dpkg",
      arch: "all",
      size: 686 * 1024,
      installedAt: "2026-01-02T03:04:05Z",
    });
    expect(titles.slice(1).map((title) => title.installedAt)).toEqual([
      "2026-02-03T00:00:00Z",
      "2026-03-04T00:00:00Z",
      undefined,
      undefined,
    ]);
    expect(titles.slice(3).map((title) => title.publisher)).toEqual(["鈴木商店", "Разработчик"]);
  });

  it("reads the status.d of distroless images, whose stanzas have no Status", async () => {
    const { titles, errors } = await scan({
      "var/lib/dpkg/status.d/base":
        "Package: base-files\nVersion: 12.4+deb12u5\nArchitecture: amd64\nMaintainer: Santiago Vila <s@e.org>",
      "var/lib/dpkg/status.d/base.md5sums": "0123  usr/lib/os-release\n",
    });
    expect(errors).toEqual([]);
    expect(titles).toEqual([
      { name: "base-files", version: "12.4+deb12u5", publisher: "Santiago Vila", source: "dpkg", arch: "amd64" },
    ]);
  });

  it("takes what dpkg has noted but not yet written into its status file, newest first", async () => {
    const record = (name: string, state: string, version: string, more = ""): string =>
      `Package: ${name}\nStatus: install ok ${state}\n${more}Version: ${version}\n`;
    const both = (arch: string): string => `Multi-Arch: same\nArchitecture: ${arch}\n`;
    const { titles, errors } = await scan({
      "var/lib/dpkg/status": [
        record("raised", "installed", "1"),
        record("gone", "installed", "1"),
        record("lib", "installed", "1", both("amd64")),
        record("lib", "installed", "1", both("i386")),
      ].join("\n"),
      "var/lib/dpkg/updates/0000": record("raised", "half-configured", "2"),
      "var/lib/dpkg/updates/0001": record("raised", "installed", "2"),
      "var/lib/dpkg/updates/0002": record("gone", "config-files", "1"),
      "var/lib/dpkg/updates/0003": record("new", "installed", "1"),
      "var/lib/dpkg/updates/0004": record("lib", "installed", "2", both("i386")),
      "var/lib/dpkg/updates/tmp.i": record("unfinished", "installed", "1"),
    });
    expect(titles.map(({ name, version, arch }) => [name, version, arch])).toEqual([
      ["lib", "1", "amd64"],
      ["raised", "2", undefined],
      ["new", "1", undefined],
      ["lib", "2", "i386"],
    ]);
    expect(errors).toEqual([]);
  });

  it("reads past a byte order mark, and says where bytes are no text", async () => {
    const text = `\ufeffPackage: a\nStatus: install ok installed\nVersion: 1\nMaintainer: Jos\u00e9 <j@x>\n`;
    expect((await scan({ "var/lib/dpkg/status": text })).titles).toMatchObject([{ name: "a", publisher: "José" }]);
    const latin1 = await scan({ "var/lib/dpkg/status": Buffer.from(text.slice(1), "latin1") });
    expect(latin1.titles).toMatchObject([{ name: "a", version: "1" }]);
    expect(latin1.errors).toMatchObject([{ path: "/var/lib/dpkg/status", code: "malformed" }]);
  });

  it("finds nothing and reports nothing where there is no dpkg", async () => {
    expect(await scan({ "etc/hostname": "x" })).toEqual({ titles: [], errors: [] });
  });

  it("names the line of a broken stanza and keeps the others", async () => {
    const text = `Package: a\nStatus: install ok installed\nVersion: 1\n\n#garbage without colon\n\nVersion: 2\n\nPackage: b\nStatus: install ok installed\nVersion: 3\n`;
    const { titles, errors } = await scan({ "var/lib/dpkg/status": text });
    expect(titles.map((title) => title.name)).toEqual(["a", "b"]);
    expect(errors.map((error) => [error.path, error.code, error.message.split(":")[0]])).toEqual([
      ["/var/lib/dpkg/status", "malformed", "line 5"],
      ["/var/lib/dpkg/status", "malformed", "line 7"],
    ]);
  });

  it("reports a file that ends in the middle of a line", async () => {
    const { titles, errors } = await scan({ "var/lib/dpkg/status": status.slice(0, 400) });
    expect(titles.map((title) => title.name)).toEqual(["adduser"]);
    expect(errors).toMatchObject([{ path: "/var/lib/dpkg/status", code: "malformed" }]);
  });

  it("reports a status file that is no file, and a name or value beyond the bounds of a title", async () => {
    expect((await scan({ "var/lib/dpkg/status": { directory: true } })).errors).toMatchObject([
      { path: "/var/lib/dpkg/status", code: "unreadable" },
    ]);
    const long = `Package: ${"x".repeat(600)}\nStatus: install ok installed\nVersion: 1\n\nPackage: ok\nStatus: install ok installed\nVersion: ${"9".repeat(300)}\n`;
    const { titles, errors } = await scan({ "var/lib/dpkg/status": long });
    expect(titles).toEqual([{ name: "ok", version: "", source: "dpkg" }]);
    expect(errors).toHaveLength(2);
  });

  it("reports a status file that it may not read", async () => {
    // Only root can give up its rights for a moment; for others the mode alone does it.
    const root = makeRoot({ "var/lib/dpkg/status": status });
    chmodSync(root, 0o755);
    chmodSync(join(root, "var/lib/dpkg/status"), 0o000);
    const isRoot = process.getuid?.() === 0;
    if (process.platform === "win32") return;
    if (isRoot) process.seteuid?.(65_534);
    try {
      const { titles, errors } = await runCollector(dpkg, offline(root));
      expect(titles).toEqual([]);
      expect(errors).toEqual([
        { path: "/var/lib/dpkg/status", code: "unreadable", message: "cannot be read (EACCES)" },
      ]);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it("agrees with dpkg-query on this machine, where it has dpkg", async () => {
    if (!existsSync("/var/lib/dpkg/status") || !existsSync("/usr/bin/dpkg-query")) return;
    const format = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n";
    const expected = execFileSync("dpkg-query", ["-W", "-f", format], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.startsWith("installed\t"))
      .map((line) => line.slice("installed\t".length));
    const { titles, errors } = await runCollector(dpkg, live());
    expect(errors).toEqual([]);
    expect(titles.map((title) => `${title.name}\t${title.version}\t${title.arch}`).sort()).toEqual(expected.sort());
    expect(titles.every((title) => title.installedAt !== undefined)).toBe(true);
  });

  it("takes a second look at no line: time grows with the file and not faster", () => {
    const findings = createFindings();
    parseStatus("x".repeat(20_000_000), "/f", findings);
    parseStatus(":".repeat(5_000_000) + "\n", "/f", findings);
    parseStatus("\n".repeat(5_000_000), "/f", findings);
    expect(findings.result().titles).toEqual([]);
  });
});
