/**
 * Purpose: remembers up to where records are done (docs/specs/spool.md §4).
 * Invariants: never goes back while open; a write that fails or is lost only means that records are sent again, so it is
 * neither synced nor allowed to fail an ack. Concurrent calls share one write.
 */
import { decodeSlots, encodeSlot, slotBytes } from "./format.ts";
import type { SpoolFs } from "./fs.ts";

export interface AckedFile {
  readonly position: number;
  /** Resolves when this position, or a later one, has been handed to the operating system - or could not be. */
  advance(position: number): Promise<void>;
  close(): Promise<void>;
}

export async function openAckedFile(options: {
  fs: SpoolFs;
  path: string;
  onError: (error: unknown) => void;
}): Promise<AckedFile> {
  const file = await options.fs.open(options.path, "update");
  const slots = Buffer.alloc(2 * slotBytes);
  const filled = await file.read(slots, 0);
  let position = decodeSlots(slots.subarray(0, filled));
  // The slot that holds the current position is the one not to be written next.
  let turn = decodeSlots(slots.subarray(0, Math.min(filled, slotBytes))) === position ? 1 : 0;
  let written = position;
  let writing: Promise<void> | undefined;

  async function write(): Promise<void> {
    await Promise.resolve();
    while (written < position) {
      const upTo = position;
      try {
        await file.write(encodeSlot(upTo), turn * slotBytes);
        turn = 1 - turn;
      } catch (error) {
        options.onError(error);
      }
      written = upTo;
    }
    writing = undefined;
  }

  return {
    get position() {
      return position;
    },
    async advance(upTo) {
      position = Math.max(position, upTo);
      writing ??= write();
      await writing;
    },
    async close() {
      await writing;
      await file.datasync().catch(options.onError);
      await file.close();
    },
  };
}
