/**
 * Purpose: the dictionary this agent holds (`dictionary.json`): taken only when verified under the pinned root and newer than
 * the one held; whatever else is served is named, told upward, and the good one stays.
 * The content stays on the disk, where a scan reads it: the resident keeps version and ETag only.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "@daicho/kernel";
import {
  sha256Hex,
  validateDictionary,
  verifyDocument,
  type Dictionary,
  type DocumentRefusal,
  type TrustRoot,
} from "@daicho/protocol";
import { writeFileAtomic, type Uplink } from "@daicho/uplink";

export type Refreshed =
  /** A newer one was taken. */
  | { readonly kind: "new"; readonly version: number }
  | { readonly kind: "same" }
  | { readonly kind: "refused"; readonly refusal: DocumentRefusal }
  /** Could not be asked for now. */
  | { readonly kind: "later"; readonly code: string };

export interface DictionaryHolder {
  /** 0 = none. */
  readonly version: number;
  /** undefined while there is none. */
  readonly file: string | undefined;
  /** `floor`: a version seen before by other means; nothing below it is taken. */
  refresh(uplink: Pick<Uplink, "fetchDocument">, floor: number, signal?: AbortSignal): Promise<Refreshed>;
}

interface Held {
  readonly version: number;
  readonly etag: string | undefined;
  /** Of the signed payload. */
  readonly digest: string;
}

export async function openDictionary(options: {
  readonly dir: string;
  readonly root: TrustRoot | undefined;
  readonly log: Log;
}): Promise<DictionaryHolder> {
  const file = join(options.dir, "dictionary.json");
  let held = await load();

  async function load(): Promise<Held | undefined> {
    let value: { etag?: unknown; document?: unknown };
    try {
      value = JSON.parse(await readFile(file, "utf8")) as typeof value;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") options.log.warn("dictionary-unreadable");
      return undefined;
    }
    const verified = options.root && verifyDocument(value.document, "dictionary/v1", options.root);
    const checked = verified?.ok === true ? validateDictionary(verified.payload) : undefined;
    if (checked?.ok !== true) {
      options.log.warn("dictionary-unreadable", { code: verified?.ok === false ? verified.refusal : "invalid" });
      return undefined;
    }
    const { payload } = value.document as { payload: string };
    return {
      version: checked.value.version,
      etag: typeof value.etag === "string" ? value.etag : undefined,
      digest: sha256Hex(payload),
    };
  }

  return {
    get version() {
      return held?.version ?? 0;
    },
    get file() {
      return held === undefined ? undefined : file;
    },
    async refresh(uplink, floor, signal) {
      const version = Math.max(held?.version ?? 0, floor);
      const result = await uplink.fetchDocument("/ingest/v1/dictionary", { etag: held?.etag, version }, signal);
      if (result.kind === "retry") return { kind: "later", code: result.code };
      if (result.kind === "refused") return { kind: "later", code: result.problem.code };
      const fetched = result.value;
      if (fetched.kind === "untrusted") return { kind: "refused", refusal: fetched.refusal };
      if (fetched.kind !== "document") return { kind: "same" };
      const digest = sha256Hex(fetched.document.payload);
      // One version has one content; a second one is as good as going back.
      if (fetched.payload.version === held?.version && digest !== held.digest)
        return { kind: "refused", refusal: "document-older" };
      await writeFileAtomic(file, JSON.stringify({ etag: fetched.etag, document: fetched.document }));
      const newer = fetched.payload.version > (held?.version ?? 0);
      held = { version: fetched.payload.version, etag: fetched.etag, digest };
      return newer ? { kind: "new", version: held.version } : { kind: "same" };
    },
  };
}

/** For a scan, in its own process: what this module wrote, already verified. */
export async function readDictionaryFile(file: string): Promise<Dictionary> {
  const { document } = JSON.parse(await readFile(file, "utf8")) as { document: { payload: string } };
  const checked = validateDictionary(JSON.parse(document.payload));
  if (!checked.ok) throw new RangeError("the dictionary held is not valid");
  return checked.value;
}

export const refusalWords: Readonly<Record<DocumentRefusal, string>> = {
  "document-malformed": "the dictionary served is not one",
  "document-wrong-type": "another document was served in place of the dictionary",
  "document-unknown-key": "the dictionary served is signed by a key that is not the pinned root",
  "document-altered": "the dictionary served was altered after it was signed",
  "document-older": "the dictionary served is not newer than the one held, yet differs from it",
};
