import { describe, expect, it } from "vitest";
import { makeRoot, offline } from "../fixtures/root.ts";
import { runCollector } from "../collector.ts";
import { homebrew } from "./homebrew.ts";

const scan = (entries: Parameters<typeof makeRoot>[0]) => runCollector(homebrew, offline(makeRoot(entries)));

describe("the Homebrew collector", () => {
  it("lists formulae of every prefix, each version side by side", async () => {
    const { titles, errors } = await scan({
      "opt/homebrew/Cellar/wget/1.24.5/INSTALL_RECEIPT.json": JSON.stringify({
        homebrew_version: "4.4.0",
        time: 1767323045,
        arch: "arm64",
        source: { tap: "homebrew/core", versions: { stable: "1.24.5" } },
      }),
      "opt/homebrew/Cellar/wget/1.25.0_1/bin/wget": "",
      "home/linuxbrew/.linuxbrew/Cellar/jq/1.7/INSTALL_RECEIPT.json": "{}",
      "opt/homebrew/Cellar/.keepme": "",
    });
    expect(errors).toEqual([]);
    expect(titles).toEqual([
      {
        name: "wget",
        version: "1.24.5",
        source: "homebrew",
        arch: "arm64",
        installedAt: "2026-01-02T03:04:05Z",
        path: "/opt/homebrew/Cellar/wget/1.24.5",
      },
      { name: "wget", version: "1.25.0_1", source: "homebrew", path: "/opt/homebrew/Cellar/wget/1.25.0_1" },
      { name: "jq", version: "1.7", source: "homebrew", path: "/home/linuxbrew/.linuxbrew/Cellar/jq/1.7" },
    ]);
  });

  it("lists casks with the moment of their installation", async () => {
    const { titles, errors } = await scan({
      "usr/local/Caskroom/firefox/132.0/Firefox.app": { directory: true },
      "usr/local/Caskroom/firefox/.metadata/132.0/20260102030405.678/Casks/firefox.json": "{}",
    });
    expect(errors).toEqual([]);
    expect(titles).toEqual([
      {
        name: "firefox",
        version: "132.0",
        source: "homebrew",
        installedAt: "2026-01-02T03:04:05Z",
        path: "/usr/local/Caskroom/firefox/132.0",
      },
    ]);
  });

  it("keeps the title of a formula whose receipt is broken, and reports the receipt", async () => {
    const { titles, errors } = await scan({ "usr/local/Cellar/a/1/INSTALL_RECEIPT.json": "{" });
    expect(titles).toMatchObject([{ name: "a", version: "1" }]);
    expect(errors).toMatchObject([{ path: "/usr/local/Cellar/a/1/INSTALL_RECEIPT.json", code: "malformed" }]);
  });
});
