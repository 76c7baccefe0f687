/**
 * Purpose: settings of the engine for commands that should be small rather than fast: `agent scan` lives for a third of a second, `agent
 * run` sleeps nearly always, `relay` holds ten thousand connections that seldom say anything.
 * Invariants: called by bin/daicho.js before anything else is loaded - an engine that has compiled already keeps the memory for it;
 * only settings that the engine takes while it runs.
 */
import { setFlagsFromString } from "node:v8";

const small = ["--no-opt", "--optimize-for-size", "--semi-space-growth-factor=1"];
/** No machine code but for what is built in: what runs once an hour need not be compiled. */
const smallForGood = [...small, "--max-lazy", "--no-sparkplug"];

/** The engine's settings for this command line. */
export function settingsFor([group, command, ...options]: readonly string[]): readonly string[] {
  // Connections outlive a young generation of any size: a large one only stands by (254 MiB with 10,000, against 185).
  if (group === "relay") return ["--semi-space-growth-factor=1"];
  if (group !== "agent") return [];
  if (command === "run") return smallForGood;
  // Searching files is work for an optimizing engine; reading lists of packages is not.
  const searches = options.some((option) => option.startsWith("--dictionary"));
  return command === "scan" && !searches ? small : [];
}

export function beFrugal(args: readonly string[]): void {
  for (const setting of settingsFor(args)) setFlagsFromString(setting);
}
