/**
 * Purpose: containers (ordinals.ts) in the pieces that they are stored in, and what the first piece tells by itself: most questions need no other.
 */
import { containerSize, hasAllBelow, sizeAhead } from "./ordinals.ts";

const pieceBytes = 1000;

/** How many of them follows from the container's length alone. */
export function piecesOf(container: Buffer): Buffer[] {
  const count = Math.ceil(container.length / pieceBytes);
  const each = Math.ceil(container.length / count);
  return Array.from({ length: count }, (_, part) => container.subarray(part * each, (part + 1) * each));
}

/** Shorter than any that another one follows. */
const isWhole = (first: Uint8Array): boolean => first.length < pieceBytes / 2;

/** How many members the containers have, by chunk; undefined where their first pieces do not tell. */
export function sizeByPieces(firsts: ReadonlyMap<number, Uint8Array> | undefined): number | undefined {
  let sum = 0;
  for (const first of firsts?.values() ?? []) {
    const size = isWhole(first) ? containerSize(first) : sizeAhead(first);
    if (size === undefined) return undefined;
    sum += size;
  }
  return sum;
}

/** Whether the first piece has all of the container's members below `upTo`. */
export const tellsUpTo = (first: Uint8Array, upTo: number): boolean => isWhole(first) || hasAllBelow(first, upTo);
