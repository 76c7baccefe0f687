/**
 * Purpose: asks for the dictionary and says upward when what is served must not be used - and when that is over.
 */
import type { Clock, Log } from "@daicho/kernel";
import type { Core } from "./core.ts";
import { refusalWords } from "./dictionary.ts";
import type { Troubles } from "./troubles.ts";

export interface DictionaryWatch {
  /** The nodes above believe it failed. Kept over a restart: else nobody would ever tell them that it is over. */
  failureTold: boolean;
  /** True = the one held is newer than the one the facts were gathered with. */
  refresh(core: Pick<Core, "membership" | "surveyor">): Promise<boolean>;
}

export function createDictionaryWatch(options: {
  readonly troubles: Troubles;
  readonly clock: Clock;
  readonly log: Log;
  readonly stopped: AbortSignal;
}): DictionaryWatch {
  const { troubles, clock, log, stopped } = options;
  async function tell(
    { membership, surveyor }: Pick<Core, "membership" | "surveyor">,
    state: "failed" | "complete",
    reason?: { code: string; message: string },
  ): Promise<boolean> {
    const { identity, uplink, dictionary } = membership;
    const name = surveyor.facts?.inventory.device.hostname ?? "";
    const company = identity.enrollment?.root.company ?? "";
    const at = new Date(clock.now()).toISOString();
    const place = { id: identity.id, kind: "agent" as const, name, company };
    const told = await uplink?.postStatus(
      [{ ...place, dictionary: dictionary.version, state, at, ...(reason && { reason }) }],
      stopped,
    );
    return told?.kind === "ok";
  }

  const watch: DictionaryWatch = {
    failureTold: false,
    async refresh(core) {
      const { uplink, dictionary } = core.membership;
      const answered = core.surveyor.facts?.probesVersion ?? 0;
      if (uplink === undefined) return false;
      const got = await dictionary.refresh(uplink, answered, stopped);
      if (got.kind === "later") troubles.note("dictionary", got.code);
      else if (got.kind === "refused") {
        log.error("dictionary-refused", { code: got.refusal });
        watch.failureTold = true;
        troubles.note("dictionary", got.refusal);
        await tell(core, "failed", { code: got.refusal, message: refusalWords[got.refusal] });
      } else {
        troubles.clear("dictionary");
        if (got.kind === "new") log.info("dictionary-taken", { version: got.version });
        if (watch.failureTold && (await tell(core, "complete"))) watch.failureTold = false;
      }
      return dictionary.version > answered;
    },
  };
  return watch;
}
