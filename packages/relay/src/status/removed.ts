/**
 * Purpose: which nodes the company's server has removed. Certificates have no end, and a relay checks them without asking; so the server says with
 * each answer to this relay's status whom it refuses, and this relay refuses them too and tells the relays below.
 * Invariants: kept over a restart, so that a server that is away lets nobody in again; the last list counts, a node that enrolled again is off it. A list that is lost
 * or withheld on its way costs nothing but this relay's room: the server refuses what those nodes send.
 */
import { readFile } from "node:fs/promises";
import type { Log } from "@daicho/kernel";
import { validateStatusAnswer } from "@daicho/protocol";
import { writeFileAtomic } from "@daicho/uplink";

export interface Removed {
  has(id: string): boolean;
  readonly ids: readonly string[];
  /** The list as the node above tells it. */
  heard(ids: readonly string[]): Promise<void>;
}

export async function openRemoved(options: {
  readonly file: string;
  readonly log: Log;
  readonly onChange: () => void;
}): Promise<Removed> {
  const { file, log } = options;
  let all = new Set(await load(file));
  return {
    has: (id) => all.has(id),
    get ids() {
      return [...all];
    },
    async heard(ids) {
      if (ids.length === all.size && ids.every((id) => all.has(id))) return;
      all = new Set(ids);
      log.info("removed-nodes-heard", { count: all.size });
      options.onChange();
      await writeFileAtomic(file, JSON.stringify({ removed: ids })).catch((error: unknown) =>
        log.warn("removed-nodes-not-saved", { reason: (error as NodeJS.ErrnoException).code ?? "unknown" }),
      );
    },
  };
}

/** A file that cannot be read is as good as none: the list comes with the next answer. */
async function load(file: string): Promise<readonly string[]> {
  try {
    const checked = validateStatusAnswer(JSON.parse(await readFile(file, "utf8")));
    return checked.ok ? (checked.value.removed ?? []) : [];
  } catch {
    return [];
  }
}
