/**
 * Purpose: what a command may touch of the process: two streams, the environment, the signals that ask it to stop.
 * Invariants: data goes to `out` and nothing else does; words for people, progress and errors go to `err`.
 */
import { setMaxListeners } from "node:events";

export interface Stream {
  /** Resolves when there is room for more. */
  write(text: string): Promise<void>;
  readonly isTerminal: boolean;
  readonly columns: number;
}

export interface Io {
  readonly out: Stream;
  readonly err: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts at the first SIGINT or SIGTERM; from the call on, these no longer end the process by themselves. */
  stopSignal(): AbortSignal;
}

export async function say(stream: Stream, line: string): Promise<void> {
  await stream.write(`${line}\n`);
}

export function processIo(): Io {
  let stop: AbortController | undefined;
  return {
    out: streamOf(process.stdout),
    err: streamOf(process.stderr),
    env: process.env,
    stopSignal() {
      if (stop === undefined) {
        const controller = (stop = new AbortController());
        // Every request under way listens to it.
        setMaxListeners(0, controller.signal);
        const onSignal = (): void => {
          // Asked twice, somebody is in a hurry: everything is crash-safe.
          if (controller.signal.aborted) process.exit(130);
          controller.abort();
        };
        process.on("SIGINT", onSignal);
        process.on("SIGTERM", onSignal);
      }
      return stop.signal;
    },
  };
}

function streamOf(stream: NodeJS.WriteStream): Stream {
  return {
    isTerminal: stream.isTTY === true,
    get columns() {
      return stream.columns ?? 80;
    },
    write(text) {
      if (stream.destroyed || stream.write(text)) return Promise.resolve();
      return new Promise((resolve) => {
        const done = (): void => {
          stream.off("drain", done);
          stream.off("close", done);
          resolve();
        };
        stream.on("drain", done);
        stream.on("close", done);
      });
    },
  };
}
