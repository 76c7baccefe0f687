import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "@daicho/kernel";
import type { CollectResult } from "../collector.ts";
import { appBundle } from "./index.ts";

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "bundles-"))));
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, content: string | Buffer): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

function plist(values: Readonly<Record<string, string>>): string {
  const body = Object.entries(values).map(([key, value]) => `<key>${key}</key><string>${value}</string>`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>${body.join("")}</dict></plist>`;
}

const collect = async (): Promise<CollectResult> =>
  appBundle.collect({ root, live: false, platform: "linux", env: {}, clock: systemClock });

describe("application bundles", () => {
  it("are found in the folders for applications, to depth 3, and not inside other bundles", async () => {
    const places = [
      "Applications/A.app",
      "Applications/Utilities/B.app",
      "Applications/Suite/Tools/C.app",
      "System/Applications/Utilities/D.app",
      "Users/hanako/Applications/E.app",
      "Applications/Suite/Tools/Deep/too-deep.app",
      "Applications/A.app/Contents/Frameworks/Helper.app",
      "Library/Application Support/F.app",
      "Users/hanako/Downloads/G.app",
    ];
    for (const place of places)
      put(`${place}/Contents/Info.plist`, plist({ CFBundleName: place.slice(-5, -4), CFBundleVersion: "1" }));
    const { titles, errors } = await collect();
    expect(errors).toEqual([]);
    expect(titles.map((t) => t.path).sort()).toEqual(
      places
        .slice(0, 5)
        .map((p) => `/${p}`)
        .sort(),
    );
  });

  it("are also found among the input methods, the machine's and each user's", async () => {
    const places = ["Library/Input Methods/ATOK33.app", "Users/hanako/Library/Input Methods/SogouInput.app"];
    for (const place of [...places, "Library/Fonts/X.app"])
      put(`${place}/Contents/Info.plist`, plist({ CFBundleVersion: "1" }));
    expect((await collect()).titles.map((t) => t.path)).toEqual(places.map((place) => `/${place}`));
  });

  // Facts: names and versions as macOS reports them (glpi-agent's system_profiler sample 1).
  it("say name, version and identifier as their Info.plist does, in any script", async () => {
    put(
      "Applications/iTunes.app/Contents/Info.plist",
      plist({ CFBundleName: "iTunes", CFBundleShortVersionString: "10.5.3", CFBundleVersion: "10.5.3.1" }),
    );
    put(
      "Applications/Viewer.app/Contents/Info.plist",
      readFileSync(new URL("./fixtures/binary.plist", import.meta.url)),
    );
    put("Applications/Sans nom.app/Contents/Info.plist", plist({ CFBundleVersion: "3" }));
    const { titles } = await collect();
    expect(titles).toEqual([
      { name: "Sans nom", version: "3", source: "app-bundle", path: "/Applications/Sans nom.app" },
      {
        name: "一太郎ビューア",
        version: "12.4.1",
        source: "app-bundle",
        identifier: "jp.co.justsystems.viewer",
        path: "/Applications/Viewer.app",
      },
      { name: "iTunes", version: "10.5.3", source: "app-bundle", path: "/Applications/iTunes.app" },
    ]);
  });

  it("have the architectures of their program and the install date of the App Store's receipt", async () => {
    put("Applications/A.app/Contents/Info.plist", plist({ CFBundleName: "A", CFBundleExecutable: "A" }));
    const universal = Buffer.alloc(64);
    universal.writeUInt32BE(0xcafebabe, 0);
    universal.writeUInt32BE(2, 4);
    universal.writeUInt32BE(0x01000007, 8);
    universal.writeUInt32BE(0x0100000c, 28);
    put("Applications/A.app/Contents/MacOS/A", universal);
    const receipt = put("Applications/A.app/Contents/_MASReceipt/receipt", "x");
    utimesSync(receipt, 1_700_000_000, 1_700_000_000);
    expect((await collect()).titles).toEqual([
      {
        name: "A",
        version: "",
        source: "app-bundle",
        arch: "arm64,x86_64",
        installedAt: "2023-11-14T22:13:20Z",
        path: "/Applications/A.app",
      },
    ]);
  });

  it("have no architectures when the program they name lies outside them", async () => {
    const program = Buffer.alloc(64);
    program.writeUInt32BE(0xcffaedfe, 0);
    program.writeUInt32LE(0x0100000c, 4);
    put("opt/other", program);
    put("Applications/A.app/Contents/MacOS/A", program);
    for (const [name, arch] of [
      ["A", "arm64"],
      ["../../../../opt/other", undefined],
    ] as const) {
      put("Applications/A.app/Contents/Info.plist", plist({ CFBundleName: "A", CFBundleExecutable: name }));
      expect((await collect()).titles.map((t) => t.arch)).toEqual([arch]);
    }
  });

  it("of the iPhone are read below Wrapper", async () => {
    put(
      "Applications/Pad.app/Wrapper/Pad.app/Info.plist",
      plist({ CFBundleDisplayName: "Pad", CFBundleShortVersionString: "2.1" }),
    );
    expect((await collect()).titles.map((t) => [t.name, t.version, t.path])).toEqual([
      ["Pad", "2.1", "/Applications/Pad.app"],
    ]);
  });

  it("that cannot be read or understood are errors with their place, and cost no other bundle", async () => {
    put("Applications/Broken.app/Contents/Info.plist", "bplist00 nonsense");
    put("Applications/Empty.app/readme", "");
    put("Applications/Good.app/Contents/Info.plist", plist({ CFBundleName: "Good" }));
    const { titles, errors } = await collect();
    expect(titles.map((t) => t.name)).toEqual(["Good"]);
    expect(errors.map((e) => [e.path, e.code])).toEqual([
      ["/Applications/Broken.app/Contents/Info.plist", "malformed"],
      ["/Applications/Empty.app", "malformed"],
    ]);
  });

  it("are titles once, where they lie, and also where a link leads to one that lies elsewhere", async () => {
    const names = {
      Safari: "System/Cryptexes/App/System/Applications/Safari.app",
      Helper: "Applications/Suite.app/Contents/Helpers/Helper.app",
      Suite: "Applications/Suite.app",
    };
    for (const [name, place] of Object.entries(names))
      put(`${place}/Contents/Info.plist`, plist({ CFBundleName: name, CFBundleVersion: "1" }));
    put("Users/hanako/Applications/readme", "");
    for (const [link, target] of [
      ["Applications/Safari.app", "../System/Cryptexes/App/System/Applications/Safari.app"],
      ["Users/hanako/Applications/Browser.app", "/Applications/Safari.app"],
      ["Applications/A suite.app", "Suite.app"],
      ["Applications/Helper.app", "/Applications/Suite.app/Contents/Helpers/Helper.app"],
      ["Applications/Gone.app", "/nowhere"],
      ["Applications/File.app", "/Users/hanako/Applications/readme"],
      ["Applications/Folder", "/Users"],
    ] as const)
      symlinkSync(target, join(root, link));
    const { titles, errors } = await collect();
    expect(errors).toEqual([]);
    expect(titles.map((t) => [t.name, t.path])).toEqual([
      ["Suite", "/Applications/Suite.app"],
      ["Safari", "/Applications/Safari.app"],
    ]);
  });

  it("are unreadable, not malformed, where their Info.plist cannot be looked at", async () => {
    mkdirSync(join(root, "Applications/A.app"), { recursive: true });
    symlinkSync("Contents", join(root, "Applications/A.app/Contents"));
    expect((await collect()).errors.map((e) => [e.path, e.code])).toEqual([
      ["/Applications/A.app/Contents/Info.plist", "unreadable"],
    ]);
  });

  it("of an offline disk never lead outside it", async () => {
    const outside = mkdtempSync(join(tmpdir(), "outside-"));
    try {
      mkdirSync(join(outside, "Contents"));
      writeFileSync(join(outside, "Contents/Info.plist"), plist({ CFBundleName: "Outside" }));
      mkdirSync(join(root, "Applications"));
      symlinkSync(outside, join(root, "Applications/Link.app"));
      mkdirSync(join(root, "Applications/Mixed.app/Contents"), { recursive: true });
      symlinkSync(join(outside, "Contents/Info.plist"), join(root, "Applications/Mixed.app/Contents/Info.plist"));
      expect((await collect()).titles).toEqual([]);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });
});
