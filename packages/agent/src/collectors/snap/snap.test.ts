import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { makeRoot, offline } from "../fixtures/root.ts";
import { runCollector } from "../collector.ts";
import { parseMeta, snap } from "./snap.ts";

const state = readFileSync(new URL("./fixtures/state.json", import.meta.url), "utf8");
const firefox = "name: firefox\nversion: '132.0-1'\nsummary: |\n  version: 9\narchitectures:\n- amd64\ntype: app\n";
const scan = (entries: Parameters<typeof makeRoot>[0]) => runCollector(snap, offline(makeRoot(entries)));
const assertions = "var/lib/snapd/assertions/asserts-v0";

describe("the snap collector", () => {
  it("says so where a mounted snap cannot be looked at", async () => {
    const { titles, errors } = await scan({ "snap/x/current": { link: "current" } });
    expect(titles).toEqual([]);
    expect(errors).toMatchObject([{ path: "/snap/x/current/meta/snap.yaml", code: "unreadable" }]);
  });

  it("lists every snap of snapd's state, with what the mounted revision and the assertions add", async () => {
    const { titles, errors } = await scan({
      "var/lib/snapd/state.json": state,
      "var/lib/snapd/snaps/firefox_5134.snap": { content: "12345", mtime: "2026-01-02T03:04:05Z" },
      "snap/firefox/5134/meta/snap.yaml": firefox,
      "snap/firefox/current": { link: "5134" },
      "snap/bin/firefox": "",
      "snap/README": "",
      [`${assertions}/snap-declaration/16/3wdHCAVyZEmYsCMFDE9qt92UV8rC8Wdk/active`]:
        "type: snap-declaration\npublisher-id: OgeoZuqQpVvSr9eGKJzNCrFGSaKXpkey\nsnap-name: firefox\n",
      [`${assertions}/account/OgeoZuqQpVvSr9eGKJzNCrFGSaKXpkey/active`]: "type: account\ndisplay-name: Mozilla\n",
    });
    expect(titles).toEqual([
      { name: "core22", version: "", source: "snap", identifier: "amcUKQILKXHHTlmSa7NMdnXSx02dNeeT" },
      {
        name: "firefox",
        version: "132.0-1",
        publisher: "Mozilla",
        source: "snap",
        arch: "amd64",
        identifier: "3wdHCAVyZEmYsCMFDE9qt92UV8rC8Wdk",
        size: 5,
        installedAt: "2026-01-02T03:04:05Z",
        path: "/snap/firefox/current",
      },
      { name: "mine", version: "", source: "snap" },
    ]);
    expect(errors).toMatchObject([{ path: "/var/lib/snapd/state.json", code: "malformed" }]);
  });

  it("lists the mounted snaps where there is no state or a broken one", async () => {
    const mounted = {
      "var/lib/snapd/snap/firefox/7/meta/snap.yaml": firefox,
      "var/lib/snapd/snap/firefox/current": { link: "7" },
      snap: { link: "/var/lib/snapd/snap" },
    };
    const alone = await scan(mounted);
    expect(alone.errors).toEqual([]);
    expect(alone.titles).toMatchObject([{ name: "firefox", version: "132.0-1" }]);
    const broken = await scan({ ...mounted, "var/lib/snapd/state.json": '{"data":' });
    expect(broken.titles).toHaveLength(1);
    expect(broken.errors).toMatchObject([{ path: "/var/lib/snapd/state.json", code: "malformed" }]);
  });

  it("reads versions however they are quoted", () => {
    const version = (scalar: string) => parseMeta(`name: a\nversion: ${scalar}\n`).version;
    expect(["'1.0'", '"1.0"', "1.0", "1.0 # stable", "1.0-git#4"].map(version)).toEqual([
      "1.0",
      "1.0",
      "1.0",
      "1.0",
      "1.0-git#4",
    ]);
  });
});
