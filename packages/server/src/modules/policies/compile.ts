/**
 * Purpose: policy texts to everything the server needs of them: faults with their places, the licences that can be selected, and - where
 * nothing is wrong - the dictionary and the licence policy of the next generation (domain.md §2). Pure; plain data in and out, so that
 * it can run in a thread of its own (compiler.ts).
 */
import {
  buildDocuments,
  checkPolicies,
  listLicenses,
  parsePolicy,
  type Edition,
  type PolicyFault,
  type SelectableLicense,
} from "@daicho/policy";
import { canonicalJson, type Dictionary, type LicensePolicy } from "@daicho/protocol";

export interface CompileRequest {
  /** At most one of each edition; the file's name is the edition it is held as. */
  readonly files: readonly { readonly file: Edition; readonly text: string }[];
  /** The edition that is new, and the version its own must come after (0 = there was none). */
  readonly incoming?: { readonly edition: Edition; readonly after: number };
  /** null = all. */
  readonly selected: readonly string[] | null;
  readonly company: string;
  readonly version: number;
  /** RFC 3339. */
  readonly now: string;
  /** The generation in force, to see whether anything changes. */
  readonly previous?: { readonly dictionary: string; readonly licensePolicy: string };
}

export interface Compiled {
  /** Faults of all files together; empty = `built` is there. */
  readonly faults: readonly PolicyFault[];
  /** What each file says of itself, as far as it could be read. */
  readonly heads: readonly {
    readonly file: Edition;
    readonly edition: Edition;
    readonly id: string;
    readonly version: number;
  }[];
  /** Faults the incoming file has by itself. */
  readonly ownFaults: readonly PolicyFault[];
  readonly licenses: readonly SelectableLicense[];
  readonly built?: {
    /** Canonical JSON of both documents. */
    readonly dictionary: string;
    readonly licensePolicy: string;
    /** Identical to the generation in force but for version and time. */
    readonly unchanged: boolean;
  };
}

export function compile(request: CompileRequest): Compiled {
  const { incoming } = request;
  const readings = request.files.map(({ file, text }) => ({ file, reading: parsePolicy(text, { file }) }));
  const heads = readings.flatMap(({ file, reading: { partial } }) =>
    partial === undefined ? [] : [{ file, edition: partial.edition, id: partial.id, version: partial.version }],
  );
  const readable = readings.flatMap(({ reading }) => (reading.partial === undefined ? [] : [reading.partial]));
  // The version rises whatever the document calls itself.
  const head = heads.find((h) => h.file === incoming?.edition);
  const previous =
    head === undefined || incoming === undefined || incoming.after === 0
      ? []
      : [{ id: head.id, version: incoming.after }];
  // With a file that cannot be read at all, unknown codes would only say that its codes are missing.
  const across = readable.length === readings.length ? checkPolicies(readable, { previous }) : [];
  const order = request.files.map((f) => f.file as string);
  const faults = [...readings.flatMap(({ reading }) => reading.faults), ...across].sort(
    (a, b) => order.indexOf(a.file) - order.indexOf(b.file) || a.line - b.line || a.column - b.column,
  );
  const own = readings.find(({ file }) => file === incoming?.edition)?.reading;
  const ownFaults =
    own === undefined ? [] : [...own.faults, ...(own.partial === undefined ? [] : checkPolicies([own.partial]))];
  const licenses = listLicenses(readable);
  if (faults.length > 0 || readable.length === 0) return { faults, heads, ownFaults, licenses };

  const { dictionary, licensePolicy } = buildDocuments({
    enterprise: readable.filter((p) => p.edition === "enterprise"),
    local: readable.filter((p) => p.edition === "local"),
    ...(request.selected !== null && { selected: request.selected }),
    company: request.company,
    dictionaryVersion: request.version,
    generatedAt: request.now,
  });
  const unchanged =
    request.previous !== undefined &&
    essence(
      JSON.parse(request.previous.dictionary) as Dictionary,
      JSON.parse(request.previous.licensePolicy) as LicensePolicy,
    ) === essence(dictionary, licensePolicy);
  return {
    faults,
    heads,
    ownFaults,
    licenses,
    built: { dictionary: canonicalJson(dictionary), licensePolicy: canonicalJson(licensePolicy), unchanged },
  };
}

/** Both documents without version and time. */
function essence(dictionary: Dictionary, licensePolicy: LicensePolicy): string {
  return canonicalJson([
    { ...dictionary, version: 0, generatedAt: "" },
    { ...licensePolicy, version: 0 },
  ]);
}
