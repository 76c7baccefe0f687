import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@daicho/kernel";
import { registry } from "./index.ts";

const { rows } = JSON.parse(readFileSync(new URL("./fixtures/real-names.json", import.meta.url), "utf8")) as {
  rows: [string, string][];
};

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "names-"))));
afterAll(() => rmSync(dir, { recursive: true }));

describe("real names of Windows programs", () => {
  it("come through an export letter by letter in both encodings; the one update among them is none", async () => {
    const escape = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
    const keys = rows.map(
      ([name, publisher], i) =>
        `[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\K${i}]\r\n` +
        `"DisplayName"="${escape(name)}"\r\n"Publisher"="${escape(publisher)}"\r\n\r\n`,
    );
    const text = `Windows Registry Editor Version 5.00\r\n\r\n${keys.join("")}`;
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
    for (const bytes of [utf16, Buffer.from(text)]) {
      const file = join(dir, "names.reg");
      writeFileSync(file, bytes);
      const context = {
        root: "/",
        live: true,
        platform: "linux",
        registryFiles: [file],
        env: {},
        clock: systemClock,
      } as const;
      const { titles, errors } = await registry.collect(context);
      expect(errors).toEqual([]);
      expect(titles.map((t) => [t.name, t.publisher])).toEqual(rows.filter(([name]) => !/\(KB\d+\)$/.test(name)));
      expect(titles).toHaveLength(rows.length - 1);
    }
  });
});
