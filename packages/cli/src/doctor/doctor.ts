/**
 * Purpose: `daicho doctor`: one line for each thing that can be wrong with a node, found out without changing anything. Every check ends
 * in an answer; one that cannot be made says so and counts as wrong.
 */
import { usage, type Outcome } from "../command.ts";
import type { DoctorOptions } from "../commands/doctor.ts";
import { say, type Io } from "../io.ts";
import { harmless } from "../output/width.ts";
import type { Check } from "./check.ts";
import { checkConfiguration } from "./configuration.ts";
import { checkData } from "./data.ts";
import { checkServer } from "./server.ts";

export async function doctor(options: DoctorOptions, io: Io): Promise<Outcome> {
  const { config, data, server } = options;
  if (config === undefined && data.length === 0 && server === undefined)
    return usage("doctor", "nothing to look at: give --config, --data or --server");
  const checks: Check[] = [];
  for await (const check of everyCheck(options, io)) {
    checks.push(check);
    if (options.json !== true) await say(io.out, lineOf(check));
  }
  if (options.json === true) await say(io.out, JSON.stringify({ checks }, undefined, 2));
  return checks.every(({ ok }) => ok) ? 0 : 1;
}

async function* everyCheck(options: DoctorOptions, io: Io): AsyncGenerator<Check> {
  if (options.config !== undefined) yield* checkConfiguration(options.config, io.env);
  for (const dir of options.data) yield* checkData(dir);
  if (options.server !== undefined) yield* checkServer({ ...options, server: options.server });
}

function lineOf({ check, place, ok, says }: Check): string {
  return harmless(`${ok ? "ok   " : "WRONG"}  ${check.padEnd(13)}  ${place}: ${says}`);
}
