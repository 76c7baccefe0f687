/** Purpose: waiting for what must come true, by asking again; a time limit only says that it never did, it is no measurement. */
import { expect } from "vitest";

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asks until it is answered with something; fails with what it waited for. Questions that fail count as not yet. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  options: { readonly seconds?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const { seconds = 60, everyMs = 50 } = options;
  const end = performance.now() + seconds * 1000;
  for (;;) {
    let reason = "";
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      reason = error instanceof Error ? `: ${error.message.slice(0, 3000)}` : "";
    }
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}${reason}`);
    await pause(everyMs);
  }
}

/** Asks until the answer equals this; else fails with the last difference. */
export async function untilEqual<T>(
  what: string,
  expected: T,
  ask: () => T | undefined | Promise<T | undefined>,
  options: { readonly seconds?: number; readonly everyMs?: number } = {},
): Promise<void> {
  await until(
    what,
    async () => {
      expect(await ask()).toEqual(expected);
      return true;
    },
    options,
  );
}
