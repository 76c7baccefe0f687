import { describe, expect, it } from "vitest";
import { settingsFor } from "./frugal.ts";

describe("settings of the engine", () => {
  it("are small for agent and relay, but leave the compiler to what searches files and to every other command", () => {
    expect(settingsFor(["agent", "scan", "--out", "x"])).toContain("--no-opt");
    expect(settingsFor(["agent", "run", "--config", "x"])).toContain("--no-sparkplug");
    expect(settingsFor(["relay", "--config", "x"])).toEqual(["--semi-space-growth-factor=1"]);
    for (const line of [
      "agent scan --dictionary x",
      "agent scan --dictionary=x",
      "agent enroll",
      "agent",
      "server",
      "up",
      "",
    ])
      expect(settingsFor(line.split(" "))).toEqual([]);
  });
});
