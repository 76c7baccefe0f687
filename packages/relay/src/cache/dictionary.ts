/**
 * Purpose: the software dictionary as this relay holds it: fetched conditionally from the node above, served to the nodes below.
 * Invariants: nothing is served or kept that does not verify under the pinned root; the version never goes back, not even
 * over a restart; what was refused is named in status. A relay that cannot reach the node above serves what it has.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Clock, Log, Timer } from "@daicho/kernel";
import {
  sha256Hex,
  validateDictionary,
  verifyDocument,
  type DistributionState,
  type SignedDocument,
  type TrustRoot,
} from "@daicho/protocol";
import { writeFileAtomic, type Uplink } from "@daicho/uplink";

export interface ServedDictionary {
  readonly version: number;
  readonly etag: string;
  readonly body: Buffer;
  readonly gzipped: Buffer;
}

export interface DictionaryCache {
  readonly held: ServedDictionary | undefined;
  readonly version: number;
  readonly state: DistributionState;
  readonly reason: { readonly code: string; readonly message: string } | undefined;
  /** The node above says it holds this version; fetches when that is news. */
  hint(version: number): void;
  /** Asks the node above, whatever it said. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

export interface DictionaryCacheOptions {
  readonly dir: string;
  readonly root: () => TrustRoot;
  readonly uplink: Pick<Uplink, "fetchDocument" | "upstream">;
  readonly clock: Clock;
  readonly log: Log;
  /** A new version is held, or the state has changed. */
  readonly onChange: (change: { readonly version: boolean }) => void;
}

interface Kept extends ServedDictionary {
  /** The node above's own ETag. */
  readonly upstreamEtag: string | undefined;
  readonly document: SignedDocument;
}

const pollEveryMs = 5 * 60_000;
const zip = promisify(gzip);

export async function openDictionaryCache(options: DictionaryCacheOptions): Promise<DictionaryCache> {
  const { dir, root, uplink, clock, log, onChange } = options;
  const file = join(dir, "dictionary.json");
  let kept = await load();
  /** The highest version the node above has spoken of. */
  let spokenOf = 0;
  let reason: { code: string; message: string } | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let attempts = 0;
  let timer: Timer | undefined;
  const stopping = new AbortController();

  function state(): DistributionState {
    if (reason !== undefined) return "failed";
    if (kept === undefined) return spokenOf > 0 ? "in-progress" : "none";
    return kept.version < spokenOf ? "in-progress" : "complete";
  }

  /** What status says about it. */
  function report(): string {
    return `${state()} ${reason?.code ?? ""}`;
  }

  async function load(): Promise<Kept | undefined> {
    let text: string;
    try {
      text = await readFile(file, "utf8");
    } catch {
      return undefined;
    }
    try {
      const { etag, document } = JSON.parse(text) as { etag?: string; document: SignedDocument };
      const verified = verifyDocument(document, "dictionary/v1", root());
      const checked = verified.ok ? validateDictionary(verified.payload) : undefined;
      if (checked?.ok === true) return await keep(document, checked.value.version, etag);
      log.warn("dictionary-cache-refused", { code: verified.ok ? "document-malformed" : verified.refusal });
    } catch {
      log.warn("dictionary-cache-refused", { code: "document-malformed" });
    }
    return undefined;
  }

  async function keep(document: SignedDocument, version: number, upstreamEtag: string | undefined): Promise<Kept> {
    const body = Buffer.from(JSON.stringify(document));
    const etag = `"${version}-${sha256Hex(body).slice(0, 16)}"`;
    return { version, etag, body, gzipped: await zip(body), upstreamEtag, document };
  }

  async function fetchOnce(): Promise<number> {
    const before = report();
    const result = await uplink.fetchDocument(
      "/ingest/v1/dictionary",
      { etag: kept?.upstreamEtag, version: kept?.version ?? 0 },
      stopping.signal,
    );
    let risen = false;
    if (result.kind === "retry") {
      // Whoever asked meanwhile is served by the next try, when the uplink sends again.
      again = false;
      return Math.max(result.after, 1_000);
    }
    if (result.kind === "refused") {
      log.warn("dictionary-not-given", { upstream: uplink.upstream, code: result.problem.code });
    } else if (result.value.kind === "untrusted") {
      const { refusal } = result.value;
      reason = { code: refusal, message: `the dictionary served by ${uplink.upstream} was refused` };
      log.error("dictionary-refused", { upstream: uplink.upstream, code: refusal });
    } else {
      reason = undefined;
      if (result.value.kind === "document" && result.value.payload.version > (kept?.version ?? 0)) {
        const { document, payload, etag } = result.value;
        kept = await keep(document, payload.version, etag);
        risen = true;
        log.info("dictionary-taken", { version: payload.version });
        // Served from memory whether or not the disk takes it.
        await writeFileAtomic(file, JSON.stringify({ ...(etag !== undefined && { etag }), document })).catch(
          (error: unknown) =>
            log.warn("dictionary-not-saved", { reason: (error as NodeJS.ErrnoException).code ?? "unknown" }),
        );
      }
    }
    if (risen || report() !== before) onChange({ version: risen });
    // Spoken of but not served yet: soon again, then less and less often.
    if ((kept?.version ?? 0) < spokenOf && reason === undefined)
      return Math.min(1_000 * 2 ** Math.min(attempts++, 10), pollEveryMs);
    attempts = 0;
    return pollEveryMs;
  }

  function refresh(): Promise<void> {
    if (running !== undefined) {
      again = true;
      return running;
    }
    running = (async () => {
      timer?.cancel();
      let waitMs: number;
      do {
        again = false;
        waitMs = await fetchOnce().catch((error: unknown) => {
          log.error("dictionary-fetch-failed", { reason: String(error).slice(0, 200) });
          return 30_000;
        });
      } while (again && !stopping.signal.aborted);
      running = undefined;
      if (!stopping.signal.aborted) timer = clock.after(waitMs, () => void refresh());
    })();
    return running;
  }

  return {
    get held() {
      return kept;
    },
    get version() {
      return kept?.version ?? 0;
    },
    get state() {
      return state();
    },
    get reason() {
      return reason;
    },
    hint(version) {
      if (version <= Math.max(spokenOf, kept?.version ?? 0)) return;
      const before = state();
      spokenOf = version;
      if (state() !== before) onChange({ version: false });
      void refresh();
    },
    refresh,
    async stop() {
      stopping.abort();
      timer?.cancel();
      await running;
    },
  };
}
