/**
 * Purpose: what the policies' tables hold at one moment, and the snapshot a server works with.
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { sha256Hex, type Dictionary, type LicensePolicy, type SignedDocument } from "@daicho/protocol";
import type { Database } from "../../db/database.ts";
import type { CurrentPolicy } from "../../ports.ts";
import { breathe } from "../../slices.ts";
import type { Fault } from "./faults.ts";
import { policyStore, type DictionaryRow, type DocumentRow } from "./store.ts";

export interface Held {
  readonly stamp: string;
  readonly enterprise: DocumentRow | undefined;
  readonly local: DocumentRow | undefined;
  /** null = all licences. */
  readonly selected: readonly string[] | null;
  readonly dictionary: DictionaryRow | undefined;
  /** Why what the group serves is not used. */
  readonly refusal: Fault | undefined;
  /** Enterprise version behind each dictionary version. */
  readonly sources: ReadonlyMap<number, number>;
}

export function readHeld(db: Database): Promise<Held> {
  return db.snapshot(async (trx) => {
    const selection = await policyStore.selection(trx);
    const sources = await policyStore.sources(trx, 1000);
    return {
      stamp: await policyStore.stamp(trx),
      enterprise: await policyStore.newest(trx, "enterprise"),
      local: await policyStore.newest(trx, "local"),
      selected: selection?.codes == null ? null : (JSON.parse(selection.codes) as string[]),
      dictionary: await policyStore.newestDictionary(trx),
      refusal: await policyStore.refusal(trx),
      sources: new Map(sources.map((row) => [row.version, row.enterprise])),
    };
  });
}

/** A document ready to be sent. */
export interface Served {
  readonly body: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
  readonly version: number;
}

const zip = promisify(gzip);

export async function serve(text: string, etag: string, version: number): Promise<Served> {
  const body = Buffer.from(text, "utf8");
  return { body, gzipped: await zip(body), etag, version };
}

/** A strong ETag, with its quotes. */
export function etagOf(text: string): string {
  return `"${sha256Hex(text).slice(0, 32)}"`;
}

/** Megabytes of JSON each, read one by one. */
export async function currentOf(row: DictionaryRow | undefined, enterprise: number): Promise<CurrentPolicy> {
  if (row === undefined) {
    const none = { dictionary: undefined, licensePolicy: undefined, signed: undefined };
    return { generation: 0, ...none, etag: '"none"', enterprise };
  }
  const signed = JSON.parse(row.signed) as SignedDocument;
  await breathe();
  const dictionary = JSON.parse(signed.payload) as Dictionary;
  await breathe();
  const licensePolicy = JSON.parse(row.license_policy) as LicensePolicy;
  return { generation: row.version, dictionary, licensePolicy, signed, etag: row.etag, enterprise };
}
