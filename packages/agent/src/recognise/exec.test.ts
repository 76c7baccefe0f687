import { describe, expect, it } from "vitest";
import { runProgram } from "./exec.ts";

describe("a program run for a collector", () => {
  it("answers with its status and output, in the C locale, without a shell", async () => {
    const { status, stdout } = await runProgram("sh", ["-c", 'echo "$LC_ALL $1"; exit 3', "sh", "$(id) ; x"]);
    expect({ status, stdout }).toEqual({ status: 3, stdout: "C.UTF-8 $(id) ; x\n" });
  });

  it("that is not there, or says or takes too much, is a reason and no exception", async () => {
    expect(await runProgram("no-such-program", [])).toMatchObject({ status: undefined, reason: "ENOENT" });
    expect(await runProgram("sh", ["-c", "sleep 60"], { timeoutMs: 20 })).toMatchObject({
      status: undefined,
      reason: "stopped",
    });
    const loud = await runProgram("sh", ["-c", "while :; do echo 0123456789; done"], { maxBytes: 1000 });
    expect(loud.status).toBeUndefined();
    expect(loud.stdout.length).toBeLessThanOrEqual(1000);
  });
});
