import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { makeRoot, offline } from "../fixtures/root.ts";
import { runCollector } from "../collector.ts";
import { apk } from "./apk.ts";

const installed = readFileSync(new URL("./fixtures/installed", import.meta.url), "utf8");
const scan = (entries: Parameters<typeof makeRoot>[0]) => runCollector(apk, offline(makeRoot(entries)));

describe("the apk collector", () => {
  it("lists the packages of the database, telling m: (maintainer) from M: (mode)", async () => {
    const { titles, errors } = await scan({ "lib/apk/db/installed": installed });
    expect(errors).toEqual([]);
    expect(titles).toEqual([
      { name: "musl", version: "1.2.5-r0", publisher: "Timo Teräs", source: "apk", arch: "x86_64", size: 667648 },
      { name: "日本語-fonts", version: "20260101-r2", source: "apk", arch: "noarch", size: 1 },
    ]);
  });

  it("reads the database once where /lib is a link to /usr/lib", async () => {
    const { titles } = await scan({ "usr/lib/apk/db/installed": installed, lib: { link: "/usr/lib" } });
    expect(titles).toHaveLength(2);
  });

  it("names the line of a broken record and keeps the others", async () => {
    const { titles, errors } = await scan({ "lib/apk/db/installed": `V:1\n\nnonsense\n\n${installed}` });
    expect(titles).toHaveLength(2);
    expect(errors.map((error) => error.message.split(":")[0])).toEqual(["line 1", "line 3"]);
  });
});
