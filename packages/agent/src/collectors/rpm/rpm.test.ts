import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { runCollector, type Exec } from "../collector.ts";
import { live, makeRoot, offline } from "../fixtures/root.ts";
import { queryArguments } from "./query.ts";
import { rpm } from "./rpm.ts";

/** Made with rpmbuild and rpm 4.18; `Packages` holds the same headers, loaded by db5.3's db_load; `Packages.db` lost one of four. */
const fixture = (name: string) => gunzipSync(readFileSync(new URL(`./fixtures/${name}.gz`, import.meta.url)));
const sqlite = fixture("rpmdb.sqlite");
const bdb = fixture("Packages");
const scan = (entries: Parameters<typeof makeRoot>[0]) => runCollector(rpm, offline(makeRoot(entries)));
const names = ["epoched 2:5.0~rc1-1.fc39", "manyfiles 3.1-2", "nihongo 10.0^git5-1", "plain 1.2.3-4.el9"];
const shown = (titles: readonly { name: string; version: string }[]) =>
  titles.map((t) => `${t.name} ${t.version}`).sort();

/** The ndb layout of rpm's lib/backend/ndb/rpmpkg.c: header, slots of 16 bytes, blobs in blocks of 16. */
function ndb(blobs: readonly Buffer[]): Buffer {
  const page = Buffer.alloc(4096);
  for (let at = 0; at < page.length; at += 16) page.write("Slot", at);
  page.fill(0, 0, 32).write("RpmP", 0);
  page.writeUInt32LE(1, 12);
  const parts = [page];
  let offset = 4096;
  blobs.forEach((blob, index) => {
    const length = Math.ceil((16 + blob.length + 12) / 16) * 16;
    const place = Buffer.alloc(length);
    place.write("BlbS", 0);
    place.writeUInt32LE(index + 1, 4);
    place.writeUInt32LE(blob.length, 12);
    blob.copy(place, 16);
    page.writeUInt32LE(index + 1, 32 + index * 16 + 4);
    page.writeUInt32LE(offset / 16, 32 + index * 16 + 8);
    page.writeUInt32LE(length / 16, 32 + index * 16 + 12);
    parts.push(place);
    offset += length;
  });
  return Buffer.concat(parts);
}

function header(name: string, version: string): Buffer {
  const data = Buffer.from(`${name}\0${version}\0`);
  const blob = Buffer.alloc(8 + 32);
  blob.writeUInt32BE(2, 0);
  blob.writeUInt32BE(data.length, 4);
  [1000, 6, 0, 1, 1001, 6, name.length + 1, 1].forEach((value, index) => blob.writeUInt32BE(value, 8 + index * 4));
  return Buffer.concat([blob, data]);
}

describe("the rpm collector", () => {
  it("reads rpmdb.sqlite directly, headers longer than a page and Japanese intact", async () => {
    const { titles, errors } = await scan({ "var/lib/rpm/rpmdb.sqlite": sqlite });
    expect(errors).toEqual([]);
    expect(shown(titles)).toEqual(names);
    const nihongo = titles.find((title) => title.name === "nihongo");
    expect(nihongo).toMatchObject({ publisher: "株式会社サンプル", source: "rpm", arch: "noarch", size: 6 });
    expect(nihongo?.installedAt).toMatch(/^2026-11-21T\d\d:\d\d:\d\dZ$/);
    expect(titles.find((title) => title.name === "epoched")?.publisher).toBe("Example Packagers <pkg@example.com>");
  });

  it("reads a table that fills three levels of pages", async () => {
    const { titles, errors } = await scan({ "var/lib/rpm/rpmdb.sqlite": fixture("deep.sqlite") });
    expect(errors).toEqual([]);
    expect(titles.map((title) => title.name)).toEqual(Array.from({ length: 600 }, (_, index) => `p${index}`));
  });

  it("takes the changes that a left-behind -wal file holds, but only whole and checked ones", async () => {
    const wal = fixture("rpmdb.sqlite-wal"); // deletes one package, doubles another
    const changed = await scan({ "var/lib/rpm/rpmdb.sqlite": sqlite, "var/lib/rpm/rpmdb.sqlite-wal": wal });
    expect(changed.errors).toEqual([]);
    expect(shown(changed.titles)).not.toEqual(names);
    expect(changed.titles).toHaveLength(4);
    const torn = Buffer.from(wal);
    torn[200] = (torn[200] ?? 0) ^ 1;
    const ignored = await scan({ "var/lib/rpm/rpmdb.sqlite": sqlite, "var/lib/rpm/rpmdb.sqlite-wal": torn });
    expect(shown(ignored.titles)).toEqual(names);
  });

  it("reads what rpm itself wrote with ndb, without the package that was erased", async () => {
    const { titles, errors } = await scan({ "usr/lib/sysimage/rpm/Packages.db": fixture("Packages.db") });
    expect(errors).toEqual([]);
    expect(shown(titles)).toEqual(["epoched 2:5.0~rc1-1.fc39", "nihongo 10.0^git5-1", "plain 1.2.3-4.el9"]);
  });

  it("reads Berkeley DB's Packages and ndb's Packages.db", async () => {
    const old = await scan({ "var/lib/rpm/Packages": bdb });
    expect(old.errors).toEqual([]);
    expect(shown(old.titles)).toEqual(names);
    const suse = await scan({ "usr/lib/sysimage/rpm/Packages.db": ndb([header("a", "1"), header("b", "2")]) });
    expect(suse.errors).toEqual([]);
    expect(shown(suse.titles)).toEqual(["a 1", "b 2"]);
  });

  it("reads a database once where one place is a link to the other, and the newest format of a directory", async () => {
    const linked = await scan({
      "usr/lib/sysimage/rpm/rpmdb.sqlite": sqlite,
      "var/lib/rpm": { link: "/usr/lib/sysimage/rpm" },
    });
    expect(shown(linked.titles)).toEqual(names);
    const converted = await scan({ "var/lib/rpm/rpmdb.sqlite": sqlite, "var/lib/rpm/Packages": bdb });
    expect(converted.titles).toHaveLength(4);
  });

  it("says so of a database that is empty or no file, and reads the older one beside it", async () => {
    const path = "/var/lib/rpm/rpmdb.sqlite";
    expect((await scan({ [path]: "" })).errors).toMatchObject([{ path, code: "malformed" }]);
    expect((await scan({ [path]: { directory: true } })).errors).toMatchObject([{ path, code: "unreadable" }]);
    const left = await scan({ [path]: "", "var/lib/rpm/Packages": bdb });
    expect([left.titles.length, left.errors]).toEqual([
      (await scan({ "var/lib/rpm/Packages": bdb })).titles.length,
      [],
    ]);
  });

  it("leaves out public keys and keeps the packages beside a broken one", async () => {
    const broken = header("broken", "1");
    broken.writeUInt32BE(60_000, 0);
    const { titles, errors } = await scan({
      "var/lib/rpm/Packages.db": ndb([header("gpg-pubkey", "fd431d51"), broken, header("c", "3")]),
    });
    expect(shown(titles)).toEqual(["c 3"]);
    expect(errors).toMatchObject([{ path: "/var/lib/rpm/Packages.db", code: "malformed" }]);
  });

  it("asks the live rpm, and reads the database itself when that fails", async () => {
    const root = makeRoot({ "var/lib/rpm/rpmdb.sqlite": sqlite });
    const asked: string[] = [];
    const answer = (result: Partial<Awaited<ReturnType<Exec>>>): Exec => {
      return (program, args) => {
        asked.push([program, ...args].join(" "));
        return Promise.resolve({ status: undefined, stdout: "", stderr: "", ...result });
      };
    };
    const stdout = "bash\t(none)\t5.2\t3.el9\tx86_64\tRed Hat, Inc.\t(none)\t1767323045\t7738634\nbad\tline\n";
    const answered = await runCollector(rpm, live({ root, exec: answer({ status: 0, stdout }) }));
    expect(asked).toEqual([["rpm", ...queryArguments].join(" ")]);
    expect(answered.titles).toEqual([
      {
        name: "bash",
        version: "5.2-3.el9",
        publisher: "Red Hat, Inc.",
        source: "rpm",
        arch: "x86_64",
        size: 7738634,
        installedAt: "2026-01-02T03:04:05Z",
      },
    ]);
    expect(answered.errors).toHaveLength(1);
    const failed = await runCollector(rpm, live({ root, exec: answer({ status: 1, stderr: "error: locked\nmore" }) }));
    expect(shown(failed.titles)).toEqual(names);
    expect(failed.errors).toMatchObject([
      { code: "command-failed", message: expect.stringContaining("error: locked") },
    ]);
    const absent = await runCollector(rpm, live({ root, exec: answer({ reason: "ENOENT" }) }));
    expect(absent.errors).toEqual([]);
    expect(shown(absent.titles)).toEqual(names);
  });

  it("runs nothing for an offline root and nothing where there is no database", async () => {
    const exec: Exec = () => Promise.reject(new Error("must not run"));
    const root = makeRoot({ "var/lib/rpm/rpmdb.sqlite": sqlite });
    expect((await runCollector(rpm, offline(root, { exec }))).errors).toEqual([]);
    expect((await runCollector(rpm, live({ root: makeRoot({}), exec }))).errors).toEqual([]);
  });
});
