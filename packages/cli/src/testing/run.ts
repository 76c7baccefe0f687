/** Purpose: runs a command line as tests see it: what it printed and how it ended. */
import type { Io } from "../io.ts";
import { run } from "../program.ts";

export interface Ran {
  readonly status: 0 | 1 | 2;
  readonly out: string;
  readonly err: string;
}

export async function daicho(args: readonly string[], env: Io["env"] = {}): Promise<Ran> {
  const texts = { out: "", err: "" };
  const stream = (name: "out" | "err"): Io["out"] => ({
    write: (text) => {
      texts[name] += text;
      return Promise.resolve();
    },
    isTerminal: false,
    columns: 80,
  });
  const io = { out: stream("out"), err: stream("err"), env, stopSignal: () => new AbortController().signal };
  const status = await run(args, io);
  return { status, ...texts };
}
