import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeWhole } from "./write.ts";

let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "write-"))));
afterEach(() => rmSync(dir, { recursive: true }));

describe("a file that a command writes", () => {
  it("replaces one that is there, through a link that stays, and makes the folders above", async () => {
    await writeWhole(join(dir, "a/b.json"), "old");
    symlinkSync("a/b.json", join(dir, "link"));
    await writeWhole(join(dir, "link"), "new");
    expect(readFileSync(join(dir, "a/b.json"), "utf8")).toBe("new");
    expect(lstatSync(join(dir, "link")).isSymbolicLink()).toBe(true);
    expect(readdirSync(join(dir, "a"))).toEqual(["b.json"]);
  });

  it("does not take the place of what is no file", async () => {
    if (process.platform === "win32") return;
    const fifo = join(dir, "fifo");
    execFileSync("mkfifo", [fifo]);
    const [text] = await Promise.all([readFile(fifo, "utf8"), writeWhole(fifo, "through")]);
    expect(text).toBe("through");
    expect(lstatSync(fifo).isFIFO()).toBe(true);
  });

  it("is not there, in whole or in part, when it cannot be written", async () => {
    mkdirSync(join(dir, "taken"));
    await expect(writeWhole(join(dir, "taken"), "x")).rejects.toMatchObject({ code: "file-unwritable" });
    expect(readdirSync(dir)).toEqual(["taken"]);
  });
});
