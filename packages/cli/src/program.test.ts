import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { examplesOf } from "./command.ts";
import { buildProgram, everyCommand, fullName } from "./program.ts";
import { renderCliReference } from "./reference.ts";
import { daicho } from "./testing/run.ts";
import { version } from "./version.ts";

const silent = { write: () => Promise.resolve(), isTerminal: false, columns: 80 };
const io = { out: silent, err: silent, env: {}, stopSignal: () => new AbortController().signal };
const commands = [...everyCommand(buildProgram({ io, outcome: 0 }))].slice(1);
const leaves = commands.filter((command) => command.commands.length === 0);

describe("the command line (contract.md)", () => {
  it("has the commands that the contract fixes", () => {
    const names = leaves.map((command) => fullName(command).replace("daicho ", ""));
    for (const name of [
      "up",
      "server",
      "relay",
      ...["agent run", "agent enroll", "agent status", "agent scan"],
      ...["policy check", "policy build", "policy explain"],
      ...["inventory", "departments", "employees", "devices", "entitlements", "rights"].map((kind) => `import ${kind}`),
      ...["position", "departments", "devices", "software", "reconcile"].map((kind) => `report ${kind}`),
      ...["admin token", "enrollment create", "simulate", "doctor"],
    ])
      expect(names).toContain(name);
  });

  it("explains every command with examples that begin with the command itself", async () => {
    for (const command of commands) {
      expect(examplesOf(command).length, fullName(command)).toBeGreaterThan(0);
      const path = fullName(command).split(" ").slice(1);
      const { status, out, err } = await daicho([...path, "--help"]);
      expect({ status, err }).toEqual({ status: 0, err: "" });
      expect(out).toContain("Examples:");
      expect(out).toContain(`Usage: ${fullName(command)}`);
    }
  });

  it("parses every example it gives", () => {
    for (const command of leaves)
      for (const { line } of examplesOf(command)) {
        const words = /daicho ([^)>]*)/.exec(line)?.[1]?.trim().split(/\s+/) ?? [];
        const options = words.filter((word) => word.startsWith("--"));
        const known = command.options.map((option) => option.long);
        for (const option of options) expect(known, line).toContain(option);
      }
  });

  it.each([
    [["nonsense"]],
    [["agent"]],
    [["agent", "scan", "--bogus"]],
    [["agent", "run"]],
    [["policy", "check"]],
    [["report", "position", "--format", "xml"]],
    [["simulate", "--upstream", "http://127.0.0.1:1", "--enrollment-token", "t", "--devices", "many"]],
    [["simulate", "--upstream", "http://127.0.0.1:1", "--enrollment-token", "t", "--devices", "1", "--phases", "old"]],
    [["up", "--port", "70000"]],
    [["enrollment", "create", "--expires", "soon"]],
    [["report", "position", "extra"]],
    [["doctor"]],
  ])("ends wrong usage with status 2 and says on standard error what is wrong: %j", async (args) => {
    const { status, out, err } = await daicho(args, {});
    expect(status).toBe(2);
    expect(out).toBe("");
    expect(err).not.toBe("");
  });

  it("says wrong usage in one line: what, where, what to do", async () => {
    const { err } = await daicho(["agent", "scan", "--bogus"]);
    expect(err.trimEnd().split("\n")).toHaveLength(1);
    expect(err).toMatch(/^daicho: unknown option '--bogus' \[usage\] `daicho agent scan --help`/);
  });

  it("ends a failure with status 1 and one line", async () => {
    const args = ["report", "position", "--server", "http://127.0.0.1:9", "--token", "secret-token"];
    const { status, out, err } = await daicho(args);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err.trimEnd().split("\n")).toHaveLength(1);
    expect(err).toContain("[server-unreachable]");
    expect(err).not.toContain("secret-token");
  });

  it("states the version of its package", async () => {
    const { version: stated } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    expect(version).toBe(stated);
    expect((await daicho(["--version"])).out.trim()).toBe(stated);
  });

  it("renders a reference that names every command and option", () => {
    const reference = renderCliReference();
    for (const command of leaves) {
      expect(reference).toContain(`## ${fullName(command)}\n`);
      for (const option of command.options) expect(reference).toContain(option.flags);
    }
  });
});
