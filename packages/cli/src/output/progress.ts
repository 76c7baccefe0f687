/** Purpose: progress of long work, on a terminal only: one line that is overwritten, a few times a second. */
import type { Stream } from "../io.ts";
import { clip } from "./width.ts";

export interface Progress {
  show(text: string): void;
  /** Takes the line away; what follows starts on a clean one. */
  clear(): void;
}

export function createProgress(stream: Stream, now: () => number = () => performance.now()): Progress {
  if (!stream.isTerminal) return { show() {}, clear() {} };
  let shownAt = Number.NEGATIVE_INFINITY;
  let visible = false;
  return {
    show(text) {
      if (now() - shownAt < 200) return;
      shownAt = now();
      visible = true;
      void stream.write(`\r\u001b[K${clip(text, stream.columns - 1)}`);
    },
    clear() {
      if (visible) void stream.write("\r\u001b[K");
      visible = false;
    },
  };
}
