/**
 * Purpose: the policies a server holds and the generation in force (domain.md §2). Documents come from an administrator
 * (`publish`) or, signed, from the group above (`receive`); each accepted one is stored, then both editions are generated anew.
 * Invariants: versions only rise, and one version is one text; a document with faults changes nothing; `current()` is always one
 * whole generation, read in one transaction. An enterprise version from above that the local edition conflicts with is kept but
 * not in force: the generation before it stays, and `state().fault` says why until either edition is corrected.
 * Several servers on one database: writers take turns by a lock, readers compare a stamp every second.
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { listLicenses, loadPolicies, parsePolicy, type PolicyFault, type SelectableLicense } from "@daicho/policy";
import {
  canonicalJson,
  signDocument,
  type Dictionary,
  type EnterprisePolicy,
  type LicensePolicy,
  type SignedDocument,
  type Signer,
} from "@daicho/protocol";
import type { Clock, Log, Timer } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import { inputInvalid } from "../../http/problem.ts";
import type { CurrentPolicy } from "../../ports.ts";
import { etagOf, generate } from "./generate.ts";
import { policyStore, type DictionaryRow, type DocumentRow, type EditionName } from "./store.ts";

/** A stable code and words: travels upward as a node's `reason`. */
export interface Fault {
  readonly code: string;
  readonly message: string;
}

export interface PolicyState {
  /** Newest accepted versions; 0 = none. */
  readonly enterprise: number;
  readonly local: number;
  /** What the generation in force was made from. */
  readonly inForce: { readonly enterprise: number; readonly local: number };
  readonly generation: number;
  /** Why the newest is not in force, or what was refused from above. */
  readonly fault: Fault | undefined;
}

/** A document ready to be sent. */
export interface Served {
  readonly body: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
  readonly version: number;
}

export type Received = { readonly kind: "applied" | "unchanged" } | { readonly kind: "refused"; readonly fault: Fault };

export interface Policies {
  current(): CurrentPolicy;
  state(): PolicyState;
  /** @throws policy-invalid with every fault's place */
  publish(edition: EditionName, text: string): Promise<{ readonly version: number; readonly changed: boolean }>;
  /** A document from the group above, its signature verified. */
  receive(policy: EnterprisePolicy, signed: SignedDocument): Promise<Received>;
  /** Names what was served from above and must not be used; undefined = all is well again. */
  noteRefusal(fault: Fault | undefined): void;
  document(edition: EditionName): Promise<DocumentRow | undefined>;
  selection(): Promise<{
    readonly licenses: readonly string[] | null;
    readonly available: readonly (SelectableLicense & { readonly selected: boolean })[];
  }>;
  /** null = all. @throws input-invalid where a code is no licence of these policies */
  select(licenses: readonly string[] | null): Promise<void>;
  /** For agents and relays. */
  dictionary(): Served | undefined;
  /** For the servers below: the newest enterprise policy under this server's own signature. */
  enterprise(): Promise<Served | undefined>;
  /** Enterprise version behind a dictionary version of this company. */
  enterpriseOf(dictionary: number): number | undefined;
  stop(): void;
}

interface Snapshot {
  readonly stamp: string;
  readonly current: CurrentPolicy;
  readonly state: Omit<PolicyState, "fault">;
  readonly conflict: Fault | undefined;
  readonly served: Served | undefined;
  readonly sources: ReadonlyMap<number, number>;
}

const zip = promisify(gzip);
const pollMs = 1000;

export async function createPolicies(deps: {
  readonly db: Database;
  readonly signer: () => Signer;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Log;
  readonly company: string;
  /** false at a pure group server: it owns the enterprise policy and has no agents. */
  readonly generates: boolean;
}): Promise<Policies> {
  const { db, clock, log, events } = deps;
  let refusal: Fault | undefined;
  let enterpriseServed: { readonly key: string; readonly served: Served } | undefined;
  let timer: Timer | undefined;
  let stopped = false;

  const regenerate = async (trx: Trx): Promise<void> => {
    if (!deps.generates) return;
    const result = await generate(trx, { company: deps.company, signer: deps.signer(), now: clock.now() });
    if (result.kind === "conflict") log.warn("policy-conflict", { faults: result.faults.length });
    else if (result.kind === "generated") log.info("dictionary-generated", { version: result.version });
  };
  const writing = <T>(work: (trx: Trx) => Promise<T>): Promise<T> =>
    db.transaction(async (trx) => {
      await policyStore.lock(trx, db.dialect);
      return work(trx);
    });

  // A role or program that changed since the last start generates now what it would have then.
  await writing(regenerate);
  let snapshot = await load(db, deps.generates);

  // One refresh at a time, each after the one before: an older reading never replaces a newer one.
  let refreshing: Promise<void> = Promise.resolve();
  function refresh(): Promise<void> {
    refreshing = refreshing.then(async () => {
      if ((await policyStore.stamp(db.kysely)) === snapshot.stamp) return;
      const before = snapshot;
      snapshot = await load(db, deps.generates);
      const { state } = snapshot;
      if (state.enterprise !== before.state.enterprise)
        events.emit("enterprise-changed", { version: state.enterprise });
      if (state.generation !== before.state.generation)
        events.emit("dictionary-changed", { version: state.generation });
      events.emit("status-changed", {});
    });
    const done = refreshing;
    refreshing = refreshing.catch(() => undefined);
    return done;
  }

  function poll(): void {
    timer = clock.after(pollMs, () => {
      refresh()
        .catch((error: unknown) => {
          log.warn("policies-unread", { reason: error instanceof Error ? error.message : "unknown" });
        })
        .finally(() => {
          if (!stopped) poll();
        });
    });
  }
  if (db.dialect === "postgres") poll();

  return {
    current: () => snapshot.current,
    state: () => ({ ...snapshot.state, fault: refusal ?? snapshot.conflict }),

    async publish(edition, text) {
      const outcome = await writing(async (trx) => {
        const held = await policyStore.newest(trx, edition);
        const other = await policyStore.newest(trx, edition === "local" ? "enterprise" : "local");
        if (held?.text === text) return { version: held.version, changed: false };
        const files = [
          { file: edition, text },
          ...(other === undefined ? [] : [{ file: other.edition, text: other.text }]),
        ];
        // The version rises whatever the document calls itself; `partial`: a local edition alone is not whole.
        const read = parsePolicy(text, { file: edition }).partial;
        if (read !== undefined && read.edition !== edition) throw wrongEdition(edition, read.edition);
        const previous = held === undefined || read === undefined ? [] : [{ id: read.id, version: held.version }];
        const loaded = loadPolicies(files, { previous });
        const policy = loaded.policies?.find((p) => p.file === edition);
        if (policy === undefined) throw policyInvalid(edition, loaded.faults);
        await policyStore.insertDocument(trx, {
          edition,
          id: policy.id,
          version: policy.version,
          text,
          signed: null,
          accepted_at: clock.now(),
        });
        await regenerate(trx);
        return { version: policy.version, changed: true };
      });
      if (outcome.changed) log.info("policy-published", { edition, version: outcome.version });
      await refresh();
      return outcome;
    },

    async receive(policy, signed) {
      const outcome = await writing(async (trx): Promise<Received> => {
        const held = await policyStore.newest(trx, "enterprise");
        if (held !== undefined && policy.version < held.version)
          return refused("document-older", `version ${policy.version} came after ${held.version} was held`);
        if (held !== undefined && policy.version === held.version)
          return held.text === policy.text
            ? { kind: "unchanged" }
            : refused("document-altered", `version ${policy.version} came with another text than before`);
        const loaded = loadPolicies([{ file: "enterprise", text: policy.text }]);
        const parsed = loaded.policies?.[0];
        if (parsed === undefined) return refused("policy-invalid", describe(loaded.faults));
        if (parsed.edition !== "enterprise" || parsed.version !== policy.version || parsed.id !== policy.id)
          return refused("document-malformed", "the text is not the policy that the document around it names");
        await policyStore.insertDocument(trx, {
          edition: "enterprise",
          id: policy.id,
          version: policy.version,
          text: policy.text,
          signed: JSON.stringify(signed),
          accepted_at: clock.now(),
        });
        await regenerate(trx);
        return { kind: "applied" };
      });
      if (outcome.kind === "applied") log.info("policy-received", { version: policy.version });
      await refresh();
      return outcome;
    },

    noteRefusal(fault) {
      if (refusal?.code === fault?.code && refusal?.message === fault?.message) return;
      refusal = fault;
      if (fault !== undefined) log.warn("policy-refused", { code: fault.code });
      events.emit("status-changed", {});
    },

    document: (edition) => policyStore.newest(db.kysely, edition),

    async selection() {
      const { selected, licenses } = await db.transaction((trx) => selectable(trx));
      return {
        licenses: selected,
        available: licenses.map((l) => ({ ...l, selected: selected?.includes(l.code) ?? true })),
      };
    },

    async select(codes) {
      await writing(async (trx) => {
        const { licenses } = await selectable(trx);
        const known = new Set(licenses.map((l) => l.code));
        const wrong = (codes ?? []).flatMap((code, i) =>
          known.has(code) ? [] : [{ path: `/licenses/${i}`, message: `${code} is no licence of the policies held` }],
        );
        if (wrong.length > 0) throw inputInvalid(wrong);
        await policyStore.saveSelection(
          trx,
          codes === null ? null : JSON.stringify([...new Set(codes)].sort()),
          clock.now(),
        );
        await regenerate(trx);
      });
      await refresh();
    },

    dictionary: () => snapshot.served,

    async enterprise() {
      const row = await policyStore.newest(db.kysely, "enterprise");
      if (row === undefined) return undefined;
      const key = `${row.id}:${row.version}`;
      if (enterpriseServed?.key !== key) {
        const policy: EnterprisePolicy = {
          daicho: "enterprise-policy/v1",
          group: deps.company,
          id: row.id,
          version: row.version,
          publishedAt: new Date(row.accepted_at).toISOString(),
          text: row.text,
        };
        // Ed25519 is deterministic: every server of the group makes the same bytes and the same ETag.
        const text = JSON.stringify(signDocument("enterprise-policy/v1", canonicalJson(policy), deps.signer()));
        enterpriseServed = { key, served: await serve(text, etagOf(text), row.version) };
      }
      return enterpriseServed.served;
    },

    enterpriseOf: (dictionary) => snapshot.sources.get(dictionary),

    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}

async function load(db: Database, generates: boolean): Promise<Snapshot> {
  const read = await db.transaction(async (trx) => {
    // Writers hold the lock until they commit, so what is read here is one moment - on READ COMMITTED, too.
    await policyStore.lock(trx, db.dialect);
    const enterprise = await policyStore.newest(trx, "enterprise");
    const local = await policyStore.newest(trx, "local");
    return {
      stamp: await policyStore.stamp(trx),
      enterprise,
      local,
      dictionary: generates ? await policyStore.newestDictionary(trx) : undefined,
      sources: await policyStore.sources(trx, 1000),
    };
  });
  const { enterprise, local, dictionary } = read;
  const newest = { enterprise: enterprise?.version ?? 0, local: local?.version ?? 0 };
  const inForce = generates ? { enterprise: dictionary?.enterprise ?? 0, local: dictionary?.local ?? 0 } : newest;
  const behind = inForce.enterprise !== newest.enterprise || inForce.local !== newest.local;
  return {
    stamp: read.stamp,
    current: currentOf(dictionary, inForce.enterprise),
    state: { ...newest, inForce, generation: dictionary?.version ?? 0 },
    conflict: behind ? conflictOf([enterprise, local]) : undefined,
    served: dictionary === undefined ? undefined : await serve(dictionary.signed, dictionary.etag, dictionary.version),
    sources: new Map(read.sources.map((row) => [row.version, row.enterprise])),
  };
}

function currentOf(row: DictionaryRow | undefined, enterprise: number): CurrentPolicy {
  if (row === undefined)
    return {
      generation: 0,
      dictionary: undefined,
      licensePolicy: undefined,
      signed: undefined,
      etag: '"none"',
      enterprise,
    };
  const signed = JSON.parse(row.signed) as SignedDocument;
  return {
    generation: row.version,
    dictionary: JSON.parse(signed.payload) as Dictionary,
    licensePolicy: JSON.parse(row.license_policy) as LicensePolicy,
    signed,
    etag: row.etag,
    enterprise,
  };
}

function conflictOf(documents: readonly (DocumentRow | undefined)[]): Fault {
  const files = documents.flatMap((d) => (d === undefined ? [] : [{ file: d.edition, text: d.text }]));
  return { code: "policy-conflict", message: describe(loadPolicies(files).faults) };
}

async function selectable(
  trx: Trx,
): Promise<{ selected: readonly string[] | null; licenses: readonly SelectableLicense[] }> {
  const row = await policyStore.selection(trx);
  const documents = [await policyStore.newest(trx, "enterprise"), await policyStore.newest(trx, "local")];
  const files = documents.flatMap((d) => (d === undefined ? [] : [{ file: d.edition, text: d.text }]));
  const { policies } = loadPolicies(files);
  return {
    selected: row?.codes == null ? null : (JSON.parse(row.codes) as string[]),
    licenses: listLicenses(policies ?? []),
  };
}

async function serve(text: string, etag: string, version: number): Promise<Served> {
  const body = Buffer.from(text, "utf8");
  return { body, gzipped: await zip(body), etag, version };
}

function refused(code: string, message: string): Received {
  return { kind: "refused", fault: { code, message } };
}

/** The first fault with its place, and how many there are. Bounded: it travels upward. */
function describe(faults: readonly PolicyFault[]): string {
  const first = faults[0];
  if (first === undefined) return "the editions do not fit together";
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : "";
  return `${first.file}:${first.line}:${first.column}: ${first.message}`.slice(0, 480) + more;
}

function policyInvalid(edition: EditionName, faults: readonly PolicyFault[]): Error {
  const placed = faults.map((f) => ({ ...f, path: `${f.file}:${f.line}:${f.column}` }));
  const error = serverErrors.make("policy-invalid", { edition, count: faults.length, first: describe(faults) });
  return Object.assign(error, { faults: placed });
}

function wrongEdition(edition: EditionName, found: string): Error {
  const fault = {
    file: edition,
    line: 1,
    column: 1,
    code: "wrong-edition",
    message: `this is a policy of the ${found} edition; it was sent as the ${edition} edition.`,
  };
  const error = serverErrors.make("policy-invalid", { edition, count: 1, first: fault.message });
  return Object.assign(error, { faults: [{ ...fault, path: `${edition}:1:1` }] });
}
