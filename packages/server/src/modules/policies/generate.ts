/**
 * Purpose: enterprise + local + selection → the signed dictionary and the licence policy, as one new generation (domain.md §2).
 * Invariants: all or nothing - where the two editions do not fit together, the generation in force stays: a wrong number must
 * not come from half a policy. A result identical but for its time is no new generation. Runs inside the writer's transaction.
 */
import { buildDocuments, loadPolicies, type ParsedPolicy, type PolicyFault } from "@daicho/policy";
import {
  canonicalJson,
  sha256Hex,
  signDocument,
  type Dictionary,
  type LicensePolicy,
  type Signer,
} from "@daicho/protocol";
import type { Trx } from "../../db/database.ts";
import { policyStore } from "./store.ts";

export interface GenerateInput {
  readonly company: string;
  readonly signer: Signer;
  readonly now: number;
}

export type Generated =
  | { readonly kind: "generated" | "unchanged"; readonly version: number }
  /** There is no policy yet. */
  | { readonly kind: "none" }
  | { readonly kind: "conflict"; readonly faults: readonly PolicyFault[] };

export async function generate(trx: Trx, input: GenerateInput): Promise<Generated> {
  const enterprise = await policyStore.newest(trx, "enterprise");
  const local = await policyStore.newest(trx, "local");
  const documents = [enterprise, local].filter((d) => d !== undefined);
  if (documents.length === 0) return { kind: "none" };
  const loaded = loadPolicies(documents.map(({ edition, text }) => ({ file: edition, text })));
  if (loaded.policies === undefined) return { kind: "conflict", faults: loaded.faults };

  const selection = await policyStore.selection(trx);
  const previous = await policyStore.newestDictionary(trx);
  const version = (previous?.version ?? 0) + 1;
  const of = (edition: ParsedPolicy["edition"]): ParsedPolicy[] =>
    (loaded.policies ?? []).filter((p) => p.edition === edition);
  const { dictionary, licensePolicy } = buildDocuments({
    enterprise: of("enterprise"),
    local: of("local"),
    ...(selection?.codes != null && { selected: JSON.parse(selection.codes) as string[] }),
    company: input.company,
    dictionaryVersion: version,
    generatedAt: new Date(input.now).toISOString(),
  });
  const sources = { enterprise: enterprise?.version ?? 0, local: local?.version ?? 0 };
  if (previous !== undefined) {
    const held = JSON.parse(previous.signed) as { payload: string };
    const before = essence(
      JSON.parse(held.payload) as Dictionary,
      JSON.parse(previous.license_policy) as LicensePolicy,
    );
    if (before === essence(dictionary, licensePolicy)) {
      if (previous.enterprise !== sources.enterprise || previous.local !== sources.local)
        await policyStore.noteSources(trx, previous.version, sources.enterprise, sources.local);
      return { kind: "unchanged", version: previous.version };
    }
  }
  const signed = JSON.stringify(signDocument("dictionary/v1", canonicalJson(dictionary), input.signer));
  await policyStore.insertDictionary(trx, {
    version,
    ...sources,
    signed,
    license_policy: canonicalJson(licensePolicy),
    etag: etagOf(signed),
    generated_at: input.now,
  });
  return { kind: "generated", version };
}

/** A strong ETag, with its quotes. */
export function etagOf(text: string): string {
  return `"${sha256Hex(text).slice(0, 32)}"`;
}

/** Both documents without version and time. */
function essence(dictionary: Dictionary, licensePolicy: LicensePolicy): string {
  return canonicalJson([
    { ...dictionary, version: 0, generatedAt: "" },
    { ...licensePolicy, version: 0 },
  ]);
}
