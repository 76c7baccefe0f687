/** Purpose: a node as a process of its own: started, kept until it is asked to stop, stopped cleanly. */
import { DaichoError } from "@daicho/kernel";
import type { Outcome } from "../command.ts";
import { cliErrors } from "../errors.ts";
import { say, type Io } from "../io.ts";

export interface Node {
  /** Answers what to tell whoever started it. */
  start(): Promise<string>;
  stop(): Promise<void>;
}

/** `file` is named where the node cannot listen. */
export async function runNode(node: Node, file: string, io: Io): Promise<Outcome> {
  const signal = io.stopSignal();
  let words: string;
  try {
    words = await node.start();
  } catch (error) {
    await node.stop().catch(() => undefined);
    throw listenError(error, file);
  }
  await say(io.err, words);
  await untilAborted(signal);
  await node.stop();
  return 0;
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    // A listener keeps no process alive; a node whose work happens to be idle must stay all the same.
    const stay = setInterval(() => undefined, 1 << 30);
    signal.addEventListener(
      "abort",
      () => {
        clearInterval(stay);
        resolve();
      },
      { once: true },
    );
  });
}

/** Of the system's errors only those of a socket are about listening; a data directory can be refused as well. */
function listenError(error: unknown, file: string): unknown {
  const { code, syscall, address, hostname, port } = error as Readonly<Record<string, unknown>>;
  if (error instanceof DaichoError || typeof code !== "string") return error;
  if (syscall !== "listen" && syscall !== "getaddrinfo") return error;
  const where = [address ?? hostname, port].filter((part) => part !== undefined).join(":");
  return cliErrors.make("node-not-started", { file, address: where, reason: code }, { cause: error });
}
