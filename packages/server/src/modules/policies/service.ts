/**
 * Purpose: the policies a server holds and the generation in force (domain.md §2). Documents come from an administrator
 * (`publish`) or, signed, from the group above (`receive`); each accepted one is stored together with what both editions make now.
 * Invariants: versions only rise, and one version is one text; a document with faults changes nothing; `current()` is always one
 * whole generation. An enterprise version from above that the local edition conflicts with is kept but not in force: the generation
 * before it stays - a wrong number must not come from half a policy - and `state().fault` says why until either edition is corrected.
 * A result identical but for its time is no new generation.
 * Writing: read, compile in a thread aside, then write in one transaction - if nothing was written meanwhile, else from the
 * start. So neither the event loop nor the store waits for a compilation, on however many servers. Servers tell each other;
 * readers compare a stamp.
 */
import type { SelectableLicense } from "@daicho/policy";
import {
  canonicalJson,
  signDocument,
  type Dictionary,
  type EnterprisePolicy,
  type LicensePolicy,
  type SignedDocument,
  type Signer,
} from "@daicho/protocol";
import type { Clock, Log } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { tellWithin, type Servers } from "../../db/servers.ts";
import type { Events } from "../../events.ts";
import { inputInvalid } from "../../http/problem.ts";
import type { CurrentPolicy } from "../../ports.ts";
import { breathe } from "../../slices.ts";
import type { Compiled, CompileRequest } from "./compile.ts";
import { compileAside } from "./compiler.ts";
import { describeFaults, policyInvalid, wrongEdition, type Fault } from "./faults.ts";
import { currentOf, etagOf, readHeld, serve, type Held, type Served } from "./held.ts";
import { policyStore, type DocumentRow, type EditionName } from "./store.ts";

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

export type Received = { readonly kind: "applied" | "unchanged" } | { readonly kind: "refused"; readonly fault: Fault };

export interface Policies {
  current(): CurrentPolicy;
  state(): PolicyState;
  /** @throws policy-invalid with every fault's place */
  publish(edition: EditionName, text: string): Promise<{ readonly version: number; readonly changed: boolean }>;
  /** What would be in force with this text in the edition's place; nothing is kept. @throws policy-invalid */
  tryOut(edition: EditionName, text: string): Promise<Candidate>;
  /** A document from the group above, its signature verified. */
  receive(policy: EnterprisePolicy, signed: SignedDocument): Promise<Received>;
  /** Takes over what another server has written. */
  refresh(): Promise<void>;
  /** Names what was served from above and must not be used; undefined = all is well again. */
  noteRefusal(fault: Fault | undefined): Promise<void>;
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

export interface Candidate {
  readonly version: number;
  readonly dictionary: Dictionary;
  readonly licensePolicy: LicensePolicy;
}

interface Snapshot {
  readonly stamp: string;
  readonly current: CurrentPolicy;
  readonly state: Omit<PolicyState, "fault">;
  readonly conflict: Fault | undefined;
  /** What was served from above and must not be used. */
  readonly refusal: Fault | undefined;
  readonly served: Served | undefined;
  readonly sources: ReadonlyMap<number, number>;
}

/** What a change adds to what is held, and its answer. Without any of them nothing is written. */
interface Change<T> {
  readonly answer: T;
  readonly document?: DocumentRow;
  readonly selection?: readonly string[] | null;
  readonly compiled?: Compiled;
}

export async function createPolicies(deps: {
  readonly db: Database;
  readonly signer: () => Signer;
  readonly servers: Pick<Servers, "hear">;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Log;
  readonly company: string;
  /** false at a pure group server: it owns the enterprise policy and has no agents. */
  readonly generates: boolean;
}): Promise<Policies> {
  const { db, clock, log, events } = deps;
  let enterpriseServed: { readonly key: string; readonly served: Served } | undefined;

  function compileWith(
    held: Held,
    over: Partial<CompileRequest> & { readonly replace?: CompileRequest["files"] } = {},
  ) {
    const { replace = [], ...rest } = over;
    const kept = [held.enterprise, held.local].flatMap((d) =>
      d === undefined || replace.some((r) => r.file === d.edition)
        ? []
        : [{ file: d.edition as EditionName, text: d.text }],
    );
    const { dictionary } = held;
    return compileAside({
      files: [...replace, ...kept],
      selected: held.selected,
      company: deps.company,
      version: (dictionary?.version ?? 0) + 1,
      now: new Date(clock.now()).toISOString(),
      ...(dictionary !== undefined && {
        previous: {
          dictionary: (JSON.parse(dictionary.signed) as SignedDocument).payload,
          licensePolicy: dictionary.license_policy,
        },
      }),
      ...rest,
    });
  }

  /** Plans with what is held and writes the plan's result, again and again until nothing came in between. */
  async function change<T>(plan: (held: Held) => Promise<Change<T>>): Promise<T> {
    for (;;) {
      const held = await readHeld(db);
      const planned = await plan(held);
      await breathe();
      const written = await db.transaction(async (trx) => {
        await policyStore.lock(trx, db.dialect);
        if ((await policyStore.stamp(trx)) !== held.stamp) return false;
        await write(trx, held, planned);
        await tellWithin(db, trx, "policies");
        return true;
      });
      if (!written) continue;
      await refresh();
      return planned.answer;
    }
  }

  async function write(trx: Trx, held: Held, { document, selection, compiled }: Change<unknown>): Promise<void> {
    const now = clock.now();
    // Megabytes each: to write, to sign, and to write again.
    if (document !== undefined) await policyStore.insertDocument(trx, document).then(breathe);
    if (selection !== undefined)
      await policyStore.saveSelection(trx, selection === null ? null : JSON.stringify(selection), now);
    const built = compiled?.built;
    if (!deps.generates || built === undefined) return;
    const version = (edition: EditionName): number =>
      document?.edition === edition ? document.version : (held[edition]?.version ?? 0);
    const [enterprise, local] = [version("enterprise"), version("local")];
    if (built.unchanged && held.dictionary !== undefined) {
      if (held.dictionary.enterprise !== enterprise || held.dictionary.local !== local)
        await policyStore.noteSources(trx, held.dictionary.version, enterprise, local);
      return;
    }
    const signed = JSON.stringify(signDocument("dictionary/v1", built.dictionary, deps.signer()));
    await breathe();
    const generation = (held.dictionary?.version ?? 0) + 1;
    await policyStore.insertDictionary(trx, {
      version: generation,
      enterprise,
      local,
      signed,
      license_policy: built.licensePolicy,
      etag: etagOf(signed),
      generated_at: now,
    });
    await breathe();
    log.info("dictionary-generated", { version: generation });
  }

  async function load(): Promise<Snapshot> {
    const held = await readHeld(db);
    await breathe();
    const { enterprise, local } = held;
    const dictionary = deps.generates ? held.dictionary : undefined;
    const newest = { enterprise: enterprise?.version ?? 0, local: local?.version ?? 0 };
    const inForce = deps.generates
      ? { enterprise: dictionary?.enterprise ?? 0, local: dictionary?.local ?? 0 }
      : newest;
    const behind = inForce.enterprise !== newest.enterprise || inForce.local !== newest.local;
    return {
      stamp: held.stamp,
      current: await currentOf(dictionary, inForce.enterprise),
      state: { ...newest, inForce, generation: dictionary?.version ?? 0 },
      conflict: behind
        ? { code: "policy-conflict", message: describeFaults((await compileWith(held)).faults) }
        : undefined,
      refusal: held.refusal,
      served: dictionary && (await serve(dictionary.signed, dictionary.etag, dictionary.version)),
      sources: held.sources,
    };
  }

  let snapshot = await load();
  // One refresh at a time, each after the one before: an older reading never replaces a newer one.
  let refreshing: Promise<void> = Promise.resolve();
  function refresh(): Promise<void> {
    const done = refreshing.then(async () => {
      if ((await policyStore.stamp(db.kysely)) === snapshot.stamp) return;
      const before = snapshot.state;
      snapshot = await load();
      const { state } = snapshot;
      if (state.enterprise !== before.enterprise) events.emit("enterprise-changed", { version: state.enterprise });
      if (state.generation !== before.generation) events.emit("dictionary-changed", { version: state.generation });
      events.emit("status-changed", {});
    });
    refreshing = done.catch(() => undefined);
    return done;
  }

  // A role, selection or program that changed since the last start generates now what it would have then.
  if (deps.generates && (snapshot.state.enterprise > 0 || snapshot.state.local > 0))
    await change(async (held) => ({ answer: undefined, compiled: await compileWith(held) }));

  const heard = (): void => {
    refresh().catch((error: unknown) => {
      log.warn("policies-unread", { reason: error instanceof Error ? error.message : "unknown" });
    });
  };
  const off = [deps.servers.hear("policies", heard), deps.servers.hear("missed", heard)];

  return {
    current: () => snapshot.current,
    state: () => ({ ...snapshot.state, fault: snapshot.refusal ?? snapshot.conflict }),
    refresh,

    async publish(edition, text) {
      const answer = await change<{ version: number; changed: boolean }>(async (held) => {
        const own = held[edition];
        if (own?.text === text) return { answer: { version: own.version, changed: false } };
        const compiled = await compileWith(held, {
          replace: [{ file: edition, text }],
          incoming: { edition, after: own?.version ?? 0 },
        });
        const head = compiled.heads.find((h) => h.file === edition);
        if (head !== undefined && head.edition !== edition) throw wrongEdition(edition, head.edition);
        if (compiled.faults.length > 0 || head === undefined) throw policyInvalid(edition, compiled.faults);
        const { id, version } = head;
        return {
          answer: { version, changed: true },
          document: { edition, id, version, text, signed: null, accepted_at: clock.now() },
          compiled,
        };
      });
      if (answer.changed) log.info("policy-published", { edition, version: answer.version });
      return answer;
    },

    async tryOut(edition, text) {
      // A draft need not have its next version yet.
      const compiled = await compileWith(await readHeld(db), {
        replace: [{ file: edition, text }],
        incoming: { edition, after: 0 },
      });
      const head = compiled.heads.find((h) => h.file === edition);
      if (head !== undefined && head.edition !== edition) throw wrongEdition(edition, head.edition);
      if (compiled.faults.length > 0 || head === undefined || compiled.built === undefined)
        throw policyInvalid(edition, compiled.faults);
      return {
        version: head.version,
        dictionary: JSON.parse(compiled.built.dictionary) as Dictionary,
        licensePolicy: JSON.parse(compiled.built.licensePolicy) as LicensePolicy,
      };
    },

    async receive(policy, signed) {
      const answer = await change<Received>(async (held) => {
        const { id, version, text } = policy;
        const own = held.enterprise;
        if (own !== undefined && version < own.version)
          return refused("document-older", `version ${version} came after ${own.version} was held`);
        if (own !== undefined && version === own.version)
          return own.text === text
            ? { answer: { kind: "unchanged" } }
            : refused("document-altered", `version ${version} came with another text than before`);
        const compiled = await compileWith(held, {
          replace: [{ file: "enterprise", text }],
          incoming: { edition: "enterprise", after: 0 },
        });
        if (compiled.ownFaults.length > 0) return refused("policy-invalid", describeFaults(compiled.ownFaults));
        const head = compiled.heads.find((h) => h.file === "enterprise");
        if (head?.edition !== "enterprise" || head.version !== version || head.id !== id)
          return refused("document-malformed", "the text is not the policy that the document around it names");
        return {
          answer: { kind: "applied" },
          document: {
            edition: "enterprise",
            id,
            version,
            text,
            signed: JSON.stringify(signed),
            accepted_at: clock.now(),
          },
          compiled,
        };
      });
      if (answer.kind === "applied") log.info("policy-received", { version: policy.version });
      return answer;
    },

    async noteRefusal(fault) {
      const { refusal } = snapshot;
      if (refusal?.code === fault?.code && refusal?.message === fault?.message) return;
      if (fault !== undefined) log.warn("policy-refused", { code: fault.code });
      await db.transaction(async (trx) => {
        await policyStore.lock(trx, db.dialect);
        await policyStore.saveRefusal(trx, fault, clock.now());
        await tellWithin(db, trx, "policies");
      });
      await refresh();
    },

    document: (edition) => policyStore.newest(db.kysely, edition),

    async selection() {
      const held = await readHeld(db);
      const { licenses } = await compileWith(held);
      return {
        licenses: held.selected,
        available: licenses.map((l) => ({ ...l, selected: held.selected?.includes(l.code) ?? true })),
      };
    },

    select: (codes) =>
      change(async (held) => {
        const selected = codes === null ? null : [...new Set(codes)].sort();
        const compiled = await compileWith(held, { selected });
        const known = new Set(compiled.licenses.map((l) => l.code));
        const wrong = (codes ?? []).flatMap((code, i) =>
          known.has(code) ? [] : [{ path: `/licenses/${i}`, message: `${code} is no licence of the policies held` }],
        );
        if (wrong.length > 0) throw inputInvalid(wrong);
        return { answer: undefined, selection: selected, compiled };
      }),

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
      for (const end of off) end();
    },
  };
}

function refused(code: string, message: string): Change<Received> {
  return { answer: { kind: "refused", fault: { code, message } } };
}
