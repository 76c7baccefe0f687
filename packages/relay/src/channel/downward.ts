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
  /** Devices by the code they are told. */
  let wanted = new Map<string | undefined, Set<string>>();
  let gather: Timer | undefined;
  let presence: Timer | undefined;

  /** Verdicts come a batch at a time; the relays below get them as a list. */
  function push(device: string, code: string | undefined): void {
    const devices = wanted.get(code) ?? new Set<string>();
    wanted.set(code, devices.add(device));
    if (devices.size >= maxDevices) return flush();
    gather ??= clock.after(gatherMs, flush);
  }

  function flush(): void {
    gather?.cancel();
    gather = undefined;
    const all = wanted;
    wanted = new Map();
    for (const [code, devices] of all) tellNeedFull([...devices], code);
  }

  function tellNeedFull(devices: readonly string[], code: string | undefined): void {
    hub.toDevices(devices, (list) => ({ type: "need-full", devices: list, ...(code !== undefined && { code }) }));
  }

  /** The server does not know a title that it was thought to know - it was restored from a backup, say. */
  function heed(code: string | undefined): void {
    if (code === "titles-unknown") titles.forget();
  }

  return {
    message(message) {
      switch (message.type) {
        case "hello":
        case "policy-changed":
          return dictionary.hint(message.dictionary);
        case "need-full":
          heed(message.code);
          for (const device of message.devices) verdicts.needFull(device, message.code);
          return tellNeedFull(message.devices, message.code);
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
      heed(result.code);
      if (verdicts.note(header, result) && result.status === "need-full") push(header.device, result.code);
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
