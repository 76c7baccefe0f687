/**
 * Purpose: the process around the command: arguments in, exit status out (0 done, 1 failed, 2 wrong usage).
 * Only what every command needs is loaded here; each command loads its own part when it runs.
 */
import { processIo } from "./io.ts";
import { run } from "./program.ts";

export async function main(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  // `daicho report … | head` closes the pipe early; that is no failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  process.exitCode = await run(args, processIo());
}
