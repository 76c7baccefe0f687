import { describe, expect, it } from "vitest";
import { execProgram } from "./exec.ts";

const node = (script: string, options?: { timeoutMs?: number; maxBytes?: number }) =>
  execProgram(process.execPath, ["-e", script], options);

describe("running a program", () => {
  it("gives its output and exit status", async () => {
    expect(await node("console.log('日本')")).toMatchObject({ status: 0, stdout: "日本\n" });
    expect(await node("console.error('no'); process.exit(3)")).toMatchObject({ status: 3, stderr: "no\n" });
  });

  it("says why there is no status: not there, too slow, too much", async () => {
    expect(await execProgram("no-such-program-here", [])).toMatchObject({ status: undefined, reason: "ENOENT" });
    expect(await node("setInterval(() => {}, 1000)", { timeoutMs: 200 })).toMatchObject({ reason: "ETIMEDOUT" });
    expect(await node("console.log('x'.repeat(100000))", { maxBytes: 1000 })).toMatchObject({
      status: undefined,
      reason: "ERR_CHILD_PROCESS_STDIO_MAXBUFFER",
    });
  });
});
