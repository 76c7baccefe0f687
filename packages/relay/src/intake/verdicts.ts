/**
 * Purpose: what the node above said about a device whose report was answered `stored` here long before. A relay cannot go back on
 * that answer, so the verdict waits for the device's next report: `need-full` until a full report newer than the one that was
 * judged has come by, a refusal the device must act on (`sequence-regress` and the like) once.
 * Invariants: bounded (oldest forgotten first); a verdict that is lost costs one heartbeat, because the next one goes up and
 * is judged again. Persisted as well as is cheap.
 */
import { readFile } from "node:fs/promises";
import type { Clock, Log, Timer } from "@daicho/kernel";
import type { ReportHeader, ReportResult } from "@daicho/protocol";
import { writeFileAtomic } from "@daicho/uplink";

type Judged = Pick<ReportHeader, "device" | "epoch" | "seq"> & { readonly evidence?: string | undefined };

interface Verdict {
  readonly status: "need-full" | "rejected";
  readonly code?: string;
  readonly epoch: number;
  readonly seq: number;
  readonly evidence?: string;
}

export interface Verdicts {
  readonly size: number;
  /** Takes the answer from above; true = the device is to be told. */
  note(report: Judged, result: ReportResult): boolean;
  /** The node above asks for a full report without naming one that was judged. */
  needFull(device: string, code: string | undefined): void;
  /** What to answer in place of taking this report; undefined = take it. */
  answer(header: ReportHeader): ReportResult | undefined;
  /**
   * A report was taken: a full one settles what was asked for. Only a `verified` one (its signature was checked here) also
   * outranks later verdicts on older reports; else a lying relay below could silence verdicts on devices of others.
   */
  taken(header: ReportHeader, verified: boolean): void;
  flush(): Promise<void>;
}

/** Refusals that a device must act on itself. Others concern the envelope and end here. */
const actionable = new Set(["sequence-regress", "identity-cloned", "device-unknown"]);
const saveAfterMs = 2_000;

export async function openVerdicts(options: {
  readonly file: string;
  readonly limit: number;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Verdicts> {
  const { file, limit, clock, log } = options;
  const verdicts = await load(file, limit);
  /** The newest verified full report taken per device, so that a verdict on an older report asks for nothing more. */
  const fulls = new Map<string, { epoch: number; seq: number }>();
  let dirty = false;
  let timer: Timer | undefined;
  let saving: Promise<void> = Promise.resolve();

  function changed(): void {
    dirty = true;
    timer ??= clock.after(saveAfterMs, () => {
      timer = undefined;
      void save();
    });
  }

  function save(): Promise<void> {
    saving = saving.then(async () => {
      if (!dirty) return;
      dirty = false;
      await writeFileAtomic(file, JSON.stringify([...verdicts])).catch((error: unknown) => {
        log.warn("verdicts-not-saved", { reason: (error as NodeJS.ErrnoException).code ?? "unknown" });
      });
    });
    return saving;
  }

  function remember<T>(map: Map<string, T>, device: string, value: T): void {
    map.delete(device);
    map.set(device, value);
    if (map.size > limit) map.delete(map.keys().next().value as string);
  }

  return {
    get size() {
      return verdicts.size;
    },
    note(report, result) {
      const { status, code } = result;
      if (status !== "need-full" && !(status === "rejected" && code !== undefined && actionable.has(code)))
        return false;
      const full = fulls.get(report.device);
      if (status === "need-full" && full !== undefined && isNewer(full, report)) return false;
      remember(verdicts, report.device, {
        status,
        epoch: report.epoch,
        seq: report.seq,
        ...(code !== undefined && { code }),
        ...(report.evidence !== undefined && { evidence: report.evidence }),
      });
      changed();
      return true;
    },
    needFull(device, code) {
      remember(verdicts, device, { status: "need-full", epoch: 0, seq: 0, ...(code !== undefined && { code }) });
      changed();
    },
    answer(header) {
      const verdict = verdicts.get(header.device);
      if (verdict === undefined) return undefined;
      if (verdict.status === "need-full") {
        if (header.kind === "full") return undefined;
      } else {
        // A clone's verdict is for the machine whose evidence was judged, not for the original with the same key.
        if (verdict.code === "identity-cloned" && verdict.evidence !== header.evidence) return undefined;
        verdicts.delete(header.device);
        changed();
        // A new epoch is what a device does about it; then there is nothing to tell.
        if (verdict.code === "sequence-regress" && header.epoch > verdict.epoch) return undefined;
      }
      return { status: verdict.status, ...(verdict.code !== undefined && { code: verdict.code }) };
    },
    taken(header, verified) {
      if (header.kind !== "full") return;
      const known = fulls.get(header.device);
      if (verified && (known === undefined || isNewer(header, known)))
        remember(fulls, header.device, { epoch: header.epoch, seq: header.seq });
      const verdict = verdicts.get(header.device);
      if (verdict?.status === "need-full" && isNewer(header, verdict)) {
        verdicts.delete(header.device);
        changed();
      }
    },
    async flush() {
      timer?.cancel();
      timer = undefined;
      await save();
    },
  };
}

function isNewer(a: { epoch: number; seq: number }, b: { epoch: number; seq: number }): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq);
}

/** A file that cannot be read is as good as none: the next heartbeats are judged again. */
async function load(file: string, limit: number): Promise<Map<string, Verdict>> {
  const verdicts = new Map<string, Verdict>();
  try {
    const entries = JSON.parse(await readFile(file, "utf8")) as unknown;
    if (!Array.isArray(entries)) return verdicts;
    for (const entry of entries.slice(-limit) as unknown[]) {
      if (!Array.isArray(entry) || typeof entry[0] !== "string") continue;
      const verdict = entry[1] as Partial<Verdict> | null;
      if (verdict?.status !== "need-full" && verdict?.status !== "rejected") continue;
      if (!Number.isSafeInteger(verdict.epoch) || !Number.isSafeInteger(verdict.seq)) continue;
      verdicts.set(entry[0], verdict as Verdict);
    }
  } catch {
    return verdicts;
  }
  return verdicts;
}
