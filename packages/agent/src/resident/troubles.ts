/** Purpose: what is wrong at the moment, by area; gone when that area works again. For `daicho agent status`. */
import type { Clock } from "@daicho/kernel";

export type Area = "enroll" | "send" | "scan" | "dictionary" | "report" | "identity";

export interface Trouble {
  readonly code: string;
  readonly at: string;
}

export interface Troubles {
  note(area: Area, error: unknown): string;
  clear(area: Area): void;
  has(area: Area): boolean;
  readonly latest: Trouble | undefined;
}

export function createTroubles(clock: Clock, changed: () => void): Troubles {
  const known = new Map<Area, Trouble>();
  return {
    note(area, error) {
      const code = typeof error === "string" ? error : codeOf(error);
      known.delete(area);
      known.set(area, { code, at: new Date(clock.now()).toISOString() });
      changed();
      return code;
    },
    clear(area) {
      if (known.delete(area)) changed();
    },
    has: (area) => known.has(area),
    get latest() {
      return [...known.values()].at(-1);
    },
  };
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code.slice(0, 64) : "unexpected";
}
