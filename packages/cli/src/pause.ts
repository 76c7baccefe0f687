/** Purpose: waiting that keeps the process alive - unlike the nodes' clock, whose timers must not. Ends early when the signal aborts. */
import { setTimeout as sleep } from "node:timers/promises";

export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal && { signal }).catch(() => undefined);
}
