/**
 * Every collector against damaged files: truncated, bit-flipped, replaced by garbage, huge. Nothing may be thrown, hang, or leave
 * the bounds of the inventory's schema; whatever was not understood is an error with the place.
 */
import { readFileSync, rmSync } from "node:fs";

import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { validateInventory } from "@daicho/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { apk } from "./apk/apk.ts";
import { runCollector, type Collector, type CollectResult } from "./collector.ts";
import { dpkg } from "./dpkg/dpkg.ts";
import { makeRoot, offline, put } from "./fixtures/root.ts";
import { flatpak } from "./flatpak/flatpak.ts";
import { homebrew } from "./homebrew/homebrew.ts";
import { pacman } from "./pacman/pacman.ts";
import { rpm } from "./rpm/rpm.ts";
import { snap } from "./snap/snap.ts";
import { swid } from "./swid/swid.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url));
const unzip = (path: string) => gunzipSync(read(path));
const app = "var/lib/flatpak/app/org.x.Y/x86_64/stable/active";

const subjects: {
  collector: Collector;
  file: string;
  content: Buffer;
  runs: number;
  others?: Record<string, Buffer>;
}[] = [
  { collector: dpkg, file: "var/lib/dpkg/status", content: read("./dpkg/fixtures/status"), runs: 300 },
  { collector: apk, file: "lib/apk/db/installed", content: read("./apk/fixtures/installed"), runs: 300 },
  {
    collector: pacman,
    file: "var/lib/pacman/local/a-1/desc",
    content: Buffer.from("%NAME%\na\n\n%VERSION%\n1-1\n\n%INSTALLDATE%\n1767323045\n\n%SIZE%\n12\n\n"),
    runs: 300,
  },
  { collector: rpm, file: "var/lib/rpm/rpmdb.sqlite", content: unzip("./rpm/fixtures/rpmdb.sqlite.gz"), runs: 200 },
  {
    collector: rpm,
    file: "var/lib/rpm/rpmdb.sqlite-wal",
    content: unzip("./rpm/fixtures/rpmdb.sqlite-wal.gz"),
    runs: 100,
    others: { "var/lib/rpm/rpmdb.sqlite": unzip("./rpm/fixtures/rpmdb.sqlite.gz") },
  },
  { collector: rpm, file: "var/lib/rpm/Packages", content: unzip("./rpm/fixtures/Packages.gz"), runs: 200 },
  { collector: snap, file: "var/lib/snapd/state.json", content: read("./snap/fixtures/state.json"), runs: 300 },
  {
    collector: snap,
    file: "snap/a/current/meta/snap.yaml",
    content: Buffer.from("name: a\nversion: '1'\narchitectures: [amd64]\n"),
    runs: 200,
  },
  {
    collector: flatpak,
    file: `${app}/export/share/metainfo/org.x.Y.metainfo.xml`,
    content: Buffer.from(
      '<component><name>Y</name><releases><release version="1" date="2024-01-01"/></releases></component>',
    ),
    runs: 300,
  },
  {
    collector: flatpak,
    file: `${app}/deploy`,
    content: Buffer.from(
      "flathub\0abc\0\0\0\0\0\0\0\0\0\0\0\0\x01appdata-name\0\0\0\0Name\0\0s\x0d\x17\x0c\x0c\x08",
      "latin1",
    ),
    runs: 300,
  },
  {
    collector: homebrew,
    file: "opt/homebrew/Cellar/a/1/INSTALL_RECEIPT.json",
    content: Buffer.from('{"time":1767323045,"arch":"arm64"}'),
    runs: 200,
  },
  {
    collector: swid,
    file: "usr/lib/swidtag/x/a.swidtag",
    content: Buffer.from(
      '<SoftwareIdentity name="x" version="1" tagId="t"><Entity name="E" role="softwareCreator"/></SoftwareIdentity>',
    ),
    runs: 300,
  },
];

type Damage =
  | { kind: "truncate"; at: number }
  | { kind: "flip"; bits: { at: number; bit: number }[] }
  | { kind: "splice"; at: number; bytes: Uint8Array }
  | { kind: "garbage"; bytes: Uint8Array };

const position = fc.double({ min: 0, max: 1, noNaN: true });
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant("truncate" as const), at: position }),
  fc.record({
    kind: fc.constant("flip" as const),
    bits: fc.array(fc.record({ at: position, bit: fc.nat(7) }), { minLength: 1, maxLength: 40 }),
  }),
  fc.record({ kind: fc.constant("splice" as const), at: position, bytes: fc.uint8Array({ maxLength: 200 }) }),
  fc.record({ kind: fc.constant("garbage" as const), bytes: fc.uint8Array({ maxLength: 5000 }) }),
);

function apply(content: Buffer, harm: Damage): Buffer {
  if (harm.kind === "garbage") return Buffer.from(harm.bytes);
  if (harm.kind === "truncate") return content.subarray(0, Math.floor(harm.at * content.length));
  const copy = Buffer.from(content);
  if (harm.kind === "splice") {
    const at = Math.floor(harm.at * content.length);
    return Buffer.concat([copy.subarray(0, at), harm.bytes, copy.subarray(at)]);
  }
  for (const { at, bit } of harm.bits) {
    const index = Math.min(copy.length - 1, Math.floor(at * copy.length));
    copy[index] = (copy[index] ?? 0) ^ (1 << bit);
  }
  return copy;
}

function expectSound({ titles, errors }: CollectResult): void {
  const inventory = {
    daicho: "inventory/v1",
    device: { hostname: "h" },
    software: titles,
    scan: { startedAt: "2026-11-21T00:00:00Z", durationMs: 0, errors },
  };
  expect(validateInventory(inventory)).toMatchObject({ ok: true });
  expect(errors.filter((error) => error.code === "failed")).toEqual([]);
}

describe.each(subjects)(
  "$collector.name reading a damaged $file",
  ({ collector, file, content, runs, others = {} }) => {
    it("neither throws nor hangs, and stays within the bounds of an inventory", async () => {
      const root = makeRoot({ ...others, [file]: content });
      expect((await runCollector(collector, offline(root))).errors.filter((error) => error.code === "failed")).toEqual(
        [],
      );
      await fc.assert(
        fc.asyncProperty(damage, async (harm) => {
          put(root, file, apply(content, harm));
          expectSound(await runCollector(collector, offline(root)));
        }),
        { numRuns: runs },
      );
    });

    it("says so when the file is garbage, or cannot be read", async () => {
      const root = makeRoot({ ...others, [file]: Buffer.alloc(3000, "\u0001\u00ff<garbage>\n") });
      const garbage = await runCollector(collector, offline(root));
      expectSound(garbage);
      const optional = /deploy$|-wal$/.test(file); // formats whose readers take what they find
      if (!optional) expect(garbage.errors.map((error) => error.path)).toContain(`/${file}`);
      rmSync(join(root, file));
      put(root, file, { directory: true });
      expect((await runCollector(collector, offline(root))).errors).toContainEqual(
        expect.objectContaining({ path: `/${file}`, code: "unreadable" }),
      );
    });
  },
);
