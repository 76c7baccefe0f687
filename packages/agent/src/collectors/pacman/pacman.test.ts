import { describe, expect, it } from "vitest";
import { makeRoot, offline } from "../fixtures/root.ts";
import { runCollector } from "../collector.ts";
import { pacman } from "./pacman.ts";

const desc = (fields: Record<string, string>) =>
  Object.entries(fields)
    .map(([key, value]) => `%${key}%\n${value}\n`)
    .join("\n");
const scan = (entries: Parameters<typeof makeRoot>[0]) => runCollector(pacman, offline(makeRoot(entries)));

describe("the pacman collector", () => {
  it("reads one title per package directory", async () => {
    const { titles, errors } = await scan({
      "var/lib/pacman/local/ALPM_DB_VERSION": "9\n",
      "var/lib/pacman/local/firefox-132.0-1/desc": desc({
        NAME: "firefox",
        VERSION: "132.0-1",
        BASE: "firefox",
        DESC: "Fast, Private & Safe Web Browser",
        ARCH: "x86_64",
        INSTALLDATE: "1767323045",
        PACKAGER: "Jan Alexander Steffens (heftig) <heftig@archlinux.org>",
        SIZE: "262144000",
        LICENSE: "MPL-2.0\nGPL",
        VALIDATION: "pgp",
      }),
      "var/lib/pacman/local/local-1-1/desc": desc({ NAME: "local", VERSION: "1-1", PACKAGER: "Unknown Packager" }),
    });
    expect(errors).toEqual([]);
    expect(titles).toEqual([
      {
        name: "firefox",
        version: "132.0-1",
        publisher: "Jan Alexander Steffens (heftig)",
        source: "pacman",
        arch: "x86_64",
        size: 262144000,
        installedAt: "2026-01-02T03:04:05Z",
      },
      { name: "local", version: "1-1", source: "pacman" },
    ]);
  });

  it("reports a package without a description, or a description without a name, and keeps the others", async () => {
    const { titles, errors } = await scan({
      "var/lib/pacman/local/a-1/desc": desc({ VERSION: "1" }),
      "var/lib/pacman/local/b-1": { directory: true },
      "var/lib/pacman/local/c-1/desc": desc({ NAME: "c", VERSION: "1" }),
    });
    expect(titles.map((title) => title.name)).toEqual(["c"]);
    expect(errors.map((error) => [error.path, error.code])).toEqual([
      ["/var/lib/pacman/local/a-1/desc", "malformed"],
      ["/var/lib/pacman/local/b-1/desc", "malformed"],
    ]);
  });
});
