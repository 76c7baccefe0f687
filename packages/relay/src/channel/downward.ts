/**
 * Purpose: what comes from the node above and concerns those below: pushes on the channel, and verdicts in its answers.
 * A new dictionary is fetched first and announced when it is here, so that whoever asks for it gets it from here.
 */
import type { Clock, Timer } from "@daicho/kernel";
import type { DownMessage, ReportHeader, ReportResult } from "@daicho/protocol";
import type { DictionaryCache } from "../cache/dictionary.ts";
import type { KnownTitles } from "../intake/pass-through.ts";
import type { Verdicts } from "../intake/verdicts.ts";
import type { Hub } from "./hub.ts";

export interface Downward {
  message(message: DownMessage): void;
  verdict(header: ReportHeader, result: ReportResult): void;
  presenceChanged(): void;
  stop(): void;
}

const gatherMs = 200;
const presenceMs = 1_000;
const maxDevices = 10_000;

export function createDownward(options: {
  readonly hub: Pick<Hub, "broadcast" | "toDevices">;
  readonly verdicts: Pick<Verdicts, "note" | "needFull">;
  readonly titles: Pick<KnownTitles, "forget">;
  readonly dictionary: Pick<DictionaryCache, "hint">;
  readonly clock: Clock;
  readonly sayPresence: () => void;
}): Downward {
  const { hub, verdicts, titles, dictionary, clock } = options;
  let wanted = new Set<string>();
  let gather: Timer | undefined;
  let presence: Timer | undefined;

  /** Verdicts come a batch at a time; the relays below get them as a list. */
  function push(device: string): void {
    wanted.add(device);
    if (wanted.size >= maxDevices) return flush();
    gather ??= clock.after(gatherMs, flush);
  }

  function flush(): void {
    gather?.cancel();
    gather = undefined;
    const devices = [...wanted];
    wanted = new Set();
    hub.toDevices(devices, (list) => ({ type: "need-full", devices: list }));
  }

  return {
    message(message) {
      switch (message.type) {
        case "hello":
        case "policy-changed":
          return dictionary.hint(message.dictionary);
        case "need-full":
          for (const device of message.devices) verdicts.needFull(device);
          return hub.toDevices(message.devices, (devices) => ({ type: "need-full", devices }));
        case "scan-now": {
          const { devices } = message;
          if (devices === undefined) return hub.broadcast(message);
          return hub.toDevices(devices, (list) => ({ type: "scan-now", devices: list }));
        }
        case "message":
          return hub.broadcast(message);
      }
    },
    verdict(header, result) {
      // The server does not know a title that it was thought to know - it was restored from a backup, say.
      if (result.code === "titles-unknown") titles.forget();
      if (verdicts.note(header, result) && result.status === "need-full") push(header.device);
    },
    presenceChanged() {
      presence ??= clock.after(presenceMs, () => {
        presence = undefined;
        options.sayPresence();
      });
    },
    stop() {
      gather?.cancel();
      presence?.cancel();
    },
  };
}
