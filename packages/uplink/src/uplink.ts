/**
 * Purpose: how a node - agent, relay, or a company's server towards its group - talks to the node above: requests that carry
 * its credential, over a list of upstreams, with typed answers.
 * Invariants: nothing here throws for what a network or a peer does; a caller sees `ok`, `retry` (and after how long) or
 * `refused` (and why). Documents leave here only verified under the pinned root. The machine's clock may be wrong: times of
 * answers correct the time that credentials carry.
 */
import { gzip } from "node:zlib";
import { promisify } from "node:util";
import {
  createCredential,
  isPackedHashes,
  maxTitles,
  reportsContentType,
  titleHashBytes,
  packBatch,
  validateDictionary,
  validateEnterprisePolicy,
  validateReportsResponse,
  validateStatusAnswer,
  verifyDocument,
  type CompanyPositions,
  type Dictionary,
  type DocumentRefusal,
  type DocumentType,
  type EnterprisePolicy,
  type NodeStatus,
  type Problem,
  type ReportsResponse,
  type SignedDocument,
} from "@daicho/protocol";
import type { TlsMaterial } from "@daicho/kernel";
import { uplinkErrors } from "./errors.ts";
import type { Identity } from "./identity.ts";
import {
  createTransport,
  type Answer,
  type Method,
  type RequestOptions,
  type TransportOptions,
  type UplinkResult,
} from "./transport.ts";
import type { Upstreams } from "./upstreams.ts";

export interface UplinkOptions extends TransportOptions {
  /** Must be enrolled. */
  readonly identity: Identity;
  /** As `enroll` answered it; learnt again from answers when absent. */
  readonly clockOffset?: number;
}

export type DocumentPath = "/ingest/v1/dictionary" | "/ingest/v1/policy";

/** `untrusted`: something was served that must not be used; the refusal travels upward in this node's status. */
export type FetchedDocument<T> =
  | {
      readonly kind: "document";
      readonly etag: string | undefined;
      readonly document: SignedDocument;
      readonly payload: T;
    }
  | { readonly kind: "not-modified" }
  /** The node above has none yet. */
  | { readonly kind: "none" }
  | { readonly kind: "untrusted"; readonly refusal: DocumentRefusal };

export interface Held {
  /** ETag of the document held. */
  readonly etag?: string | undefined;
  /** Version held; anything below is refused as `document-older`. */
  readonly version?: number;
}

export interface Uplink {
  /** The upstream in use, or the first to be tried. */
  readonly upstream: string;
  /** Nothing is sent before this time (milliseconds since 1970, this machine's clock); 0 = at once. */
  readonly nextAttemptAt: number;
  /** Code of the last failure; undefined after a success. */
  readonly lastError: string | undefined;
  /** What the right time is ahead of this machine's clock, milliseconds. */
  readonly clockOffset: number;
  /** Any route of `/ingest/v1`. While everyone waits (`nextAttemptAt`) it answers `retry` at once, without sending. */
  request(method: Method, path: string, options?: RequestOptions): Promise<UplinkResult<Answer>>;
  /** One result per envelope, in order. The caller keeps to maxBatchEnvelopes and maxBatchBytes. */
  sendReports(envelopes: readonly Uint8Array[], signal?: AbortSignal): Promise<UplinkResult<ReportsResponse>>;
  /** Of these packed title hashes, those whose text the server does not have. */
  unknownTitles(hashes: Uint8Array, signal?: AbortSignal): Promise<UplinkResult<Buffer>>;
  fetchDocument(
    path: "/ingest/v1/dictionary",
    held?: Held,
    signal?: AbortSignal,
  ): Promise<UplinkResult<FetchedDocument<Dictionary>>>;
  fetchDocument(
    path: "/ingest/v1/policy",
    held?: Held,
    signal?: AbortSignal,
  ): Promise<UplinkResult<FetchedDocument<EnterprisePolicy>>>;
  /** Answers which nodes the company has removed, where the node above says so. */
  postStatus(
    nodes: readonly NodeStatus[],
    signal?: AbortSignal,
  ): Promise<UplinkResult<{ readonly removed: readonly string[] | undefined }>>;
  postCompanyPositions(positions: CompanyPositions, signal?: AbortSignal): Promise<UplinkResult<void>>;
  /** Value of the Authorization header, fresh enough to be sent now. */
  authorization(): string;
  /** Takes the right time from an answer (RFC 3339). */
  learnTime(time: string | undefined): void;
  /** For the channel. */
  readonly upstreams: Upstreams;
  readonly tls: TlsMaterial | undefined;
  close(): Promise<void>;
}

const credentialLifetimeMs = 5 * 60_000;
/** Smaller differences are the network's. */
const clockNoiseMs = 5_000;
const maxDocumentBytes = 80 * 1024 * 1024;
const zip = promisify(gzip);

/** @throws not-enrolled, upstream-invalid */
export function createUplink(options: UplinkOptions): Uplink {
  const { identity, clock } = options;
  if (identity.enrollment === undefined) throw uplinkErrors.make("not-enrolled");
  const transport = createTransport(options);
  let clockOffset = options.clockOffset ?? 0;
  let credential: { text: string; at: number; certificate: SignedDocument } | undefined;

  function authorization(): string {
    const { enrollment } = identity;
    if (enrollment === undefined) throw uplinkErrors.make("not-enrolled");
    const now = clock.now() + clockOffset;
    if (
      credential === undefined ||
      Math.abs(now - credential.at) > credentialLifetimeMs ||
      credential.certificate !== enrollment.certificate
    )
      credential = {
        text: createCredential(enrollment.certificate, identity.signer, now),
        at: now,
        certificate: enrollment.certificate,
      };
    return credential.text;
  }

  function learnTime(text: string | undefined): void {
    const time = text === undefined ? Number.NaN : Date.parse(text);
    if (!Number.isFinite(time) || time < 0) return;
    const offset = time - clock.now();
    if (Math.abs(offset - clockOffset) > clockNoiseMs) clockOffset = Math.abs(offset) > clockNoiseMs ? offset : 0;
  }

  function onUnauthorized(problem: Problem): boolean {
    if (problem.code !== "clock-skew" || problem.time === undefined) return false;
    learnTime(problem.time);
    credential = undefined;
    return true;
  }

  async function request(
    method: Method,
    path: string,
    requestOptions: RequestOptions = {},
    accept?: (answer: Answer) => boolean,
  ): Promise<UplinkResult<Answer>> {
    return transport.send(method, path, requestOptions, {
      headers: () => ({ authorization: authorization() }),
      onUnauthorized,
      ...(accept && { accept }),
    });
  }

  async function postJson(
    path: string,
    value: unknown,
    signal: AbortSignal | undefined,
  ): Promise<UplinkResult<Answer>> {
    const body = await zip(Buffer.from(JSON.stringify(value)));
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    return request("POST", path, { body, headers, signal });
  }

  async function fetchDocument<T>(
    path: DocumentPath,
    held: Held = {},
    signal?: AbortSignal,
  ): Promise<UplinkResult<FetchedDocument<T>>> {
    const headers: Record<string, string> = held.etag === undefined ? {} : { "if-none-match": held.etag };
    const result = await request("GET", path, { headers, signal, maxBytes: maxDocumentBytes });
    if (result.kind === "refused" && result.problem.status === 404) return { kind: "ok", value: { kind: "none" } };
    return map(result, (answer): FetchedDocument<T> => {
      if (answer.status === 304) return { kind: "not-modified" };
      const root = identity.enrollment?.root;
      if (root === undefined) return { kind: "untrusted", refusal: "document-unknown-key" };
      const document = parseJson(answer.body);
      const verified = verifyDocument(document, documentTypes[path], root);
      if (!verified.ok) return { kind: "untrusted", refusal: verified.refusal };
      const checked = (path === "/ingest/v1/dictionary" ? validateDictionary : validateEnterprisePolicy)(
        verified.payload,
      );
      if (!checked.ok) return { kind: "untrusted", refusal: "document-malformed" };
      if (checked.value.version < (held.version ?? 0)) return { kind: "untrusted", refusal: "document-older" };
      return {
        kind: "document",
        etag: answer.headers["etag"],
        document: document as SignedDocument,
        payload: checked.value as T,
      };
    });
  }

  return {
    get upstream() {
      return transport.upstreams.current.url;
    },
    get nextAttemptAt() {
      return transport.upstreams.nextAttemptAt;
    },
    get lastError() {
      return transport.lastError;
    },
    get clockOffset() {
      return clockOffset;
    },
    upstreams: transport.upstreams,
    tls: options.tls,
    authorization,
    learnTime,
    request: (method, path, requestOptions) => request(method, path, requestOptions),
    async sendReports(envelopes, signal) {
      const batch = packBatch(envelopes);
      // Bodies are deflated already; what is left to gain is in headers, of which a small batch has few.
      const small = batch.length < 1024;
      const body = small ? batch : await zip(batch, { level: 1 });
      const headers = {
        "content-type": reportsContentType,
        ...(!small && { "content-encoding": "gzip" }),
      };
      let response: ReportsResponse | undefined;
      const result = await request("POST", "/ingest/v1/reports", { body, headers, signal }, (answer) => {
        const checked = validateReportsResponse(parseJson(answer.body));
        response = checked.ok && checked.value.results.length === envelopes.length ? checked.value : undefined;
        return response !== undefined;
      });
      return map(result, () => {
        learnTime(response?.time);
        return response as ReportsResponse;
      });
    },
    async unknownTitles(hashes, signal) {
      const result = await request(
        "POST",
        "/ingest/v1/titles",
        {
          body: hashes,
          headers: { "content-type": "application/octet-stream" },
          signal,
          maxBytes: maxTitles * titleHashBytes,
        },
        (answer) => isPackedHashes(answer.body),
      );
      return map(result, (answer) => answer.body);
    },
    // One implementation for both paths; the path decides the payload's type.
    fetchDocument,
    async postStatus(nodes, signal) {
      return map(await postJson("/ingest/v1/status", { nodes }, signal), ({ body }) => {
        const checked = validateStatusAnswer(parseJson(body));
        return { removed: checked.ok ? checked.value.removed : undefined };
      });
    },
    postCompanyPositions: async (positions, signal) =>
      map(await postJson("/ingest/v1/company-positions", positions, signal), () => undefined),
    close: () => transport.close(),
  };
}

const documentTypes: Readonly<Record<DocumentPath, DocumentType>> = {
  "/ingest/v1/dictionary": "dictionary/v1",
  "/ingest/v1/policy": "enterprise-policy/v1",
};

function map<A, B>(result: UplinkResult<A>, change: (value: A) => B): UplinkResult<B> {
  return result.kind === "ok" ? { kind: "ok", value: change(result.value) } : result;
}

/** undefined where it is no JSON; every validator refuses that. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}
