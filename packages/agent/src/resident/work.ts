/**
 * Purpose: one piece of work after the other, so that facts, journal and dictionary never change under each other.
 * A piece that waits already is not added again. What a piece throws ends with that piece.
 */
export interface Work {
  add(name: string, task: () => Promise<void>): void;
  /** Resolves when what was added has been done. */
  done(): Promise<void>;
}

export function createWork(options: {
  readonly stopped: AbortSignal;
  readonly onError: (name: string, error: unknown) => void;
}): Work {
  const waiting = new Set<string>();
  let last: Promise<void> = Promise.resolve();
  return {
    add(name, task) {
      if (waiting.has(name) || options.stopped.aborted) return;
      waiting.add(name);
      last = last.then(async () => {
        waiting.delete(name);
        if (options.stopped.aborted) return;
        try {
          await task();
        } catch (error) {
          options.onError(name, error);
        }
      });
    },
    done: () => last,
  };
}
