/**
 * Purpose: a relay takes what it can hold and tells the rest when to come back (design.md "Herds"). Bounds: requests worked
 * on at once, and bytes of bodies held at once - packed as they come and unpacked as they claim to be.
 * Invariant: whatever is refused here was not read, let alone stored.
 */
import { relayErrors } from "../errors.ts";

export interface Ticket {
  /** Reserves more room, for the unpacked body. @throws overloaded */
  more(bytes: number): void;
  leave(): void;
}

export interface Admission {
  /** @throws overloaded */
  enter(bytes: number): Ticket;
  readonly requests: number;
  readonly bytes: number;
}

export function createAdmission(options: {
  readonly maxRequests: number;
  readonly maxBytes: number;
  readonly random: () => number;
}): Admission {
  const { maxRequests, maxBytes, random } = options;
  let requests = 0;
  let bytes = 0;

  function refuse(reason: string): never {
    // Spread out, so that a herd that was sent away together does not come back together.
    throw relayErrors.make("overloaded", { reason }, { retryAfter: 2 + Math.floor(random() * 28) });
  }
  // One request always fits, however large it is allowed to be.
  const fits = (more: number): boolean => bytes === 0 || bytes + more <= maxBytes;

  return {
    get requests() {
      return requests;
    },
    get bytes() {
      return bytes;
    },
    enter(size) {
      if (requests >= maxRequests) refuse("requests");
      if (!fits(size)) refuse("bytes");
      requests++;
      bytes += size;
      let held = size;
      let inside = true;
      return {
        more(extra) {
          if (!inside) return;
          if (bytes > held && bytes + extra > maxBytes) refuse("bytes");
          bytes += extra;
          held += extra;
        },
        leave() {
          if (!inside) return;
          inside = false;
          requests--;
          bytes -= held;
        },
      };
    },
  };
}
