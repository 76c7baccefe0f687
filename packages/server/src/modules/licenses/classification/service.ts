/**
 * Purpose: what decides whether installations are managed: the ordered rules, categories of licences, corrections of single installations.
 * Invariants: a change of rules or categories raises the revision in its transaction, so every device is derived again whatever happens to this
 * process; a correction is derived at once, in the transaction that writes it.
 */
import type { ClassificationRule, InstallationClass } from "@daicho/licensing";
import type { Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { page, type Page } from "../../../db/page.ts";
import { serverErrors } from "../../../errors.ts";
import type { Events } from "../../../events.ts";
import type { ListQuery } from "../../../http/list.ts";
import { slicesOf } from "../../../slices.ts";
import type { Decision } from "./classifier.ts";
import { classificationStore as store } from "./store.ts";

export interface Correction {
  readonly device: string;
  readonly license: string;
  readonly class: string;
  readonly reason: string;
  /** Id of the token that did it. */
  readonly by: string;
  readonly at: string;
}

export interface Classification extends Decision {
  readonly device: string;
  readonly license: string;
  readonly count: number;
  /** What decided, in a sentence. */
  readonly because: string;
  /** The correction's. */
  readonly reason?: string;
}

/** Implemented by modules/inventory. */
export interface Rederivation {
  refresh(): Promise<void>;
  classifies(trx: Trx): Promise<boolean>;
  deriveNow(
    trx: Trx,
    devices: readonly number[],
    cause: "corrected",
  ): Promise<readonly { readonly device: number; readonly licenses: readonly { readonly license: string }[] }[]>;
  decisionsOf(
    trx: Trx,
    device: number,
  ): Promise<readonly { readonly license: string; readonly count: number; readonly decision: Decision }[]>;
}

export interface Classifications {
  rules(): Promise<readonly ClassificationRule[]>;
  /** The whole list; devices are derived again behind the answer. */
  setRules(rules: readonly ClassificationRule[]): Promise<void>;
  categories(): Promise<readonly { readonly code: string; readonly category: string }[]>;
  /** @throws not-found */
  setCategory(license: string, category: InstallationClass): Promise<void>;
  corrections(query: ListQuery & { readonly device?: string; readonly license?: string }): Promise<Page<Correction>>;
  /** Why an installation is counted as it is. @throws not-found */
  classificationOf(device: string, license: string): Promise<Classification>;
  /** @throws not-found */
  correct(
    device: string,
    license: string,
    to: { readonly class: InstallationClass; readonly reason: string; readonly by: string },
  ): Promise<Classification>;
  /** @throws not-found */
  uncorrect(device: string, license: string): Promise<void>;
  /** Allocations of these devices and employees changed: what was allocated is managed. Inside the transaction that changed them. */
  reconsider(
    trx: Trx,
    owners: readonly { readonly device: number | null; readonly employee: number | null }[],
  ): Promise<void>;
}

export function createClassifications(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly derivation: Rederivation;
  readonly raiseRevision: (trx: Trx) => Promise<unknown>;
  readonly lockHeads: (trx: Trx, devices: readonly number[]) => Promise<void>;
  /** Marks devices to be derived again. */
  readonly deriveAgain: (trx: Trx, devices: readonly number[]) => Promise<void>;
}): Classifications {
  const { db, clock, derivation } = deps;
  const missing = (device: string, license: string) =>
    serverErrors.make("not-found", { what: "installation", id: `${license} on ${device}` });

  /** Writes and, where something changed, has all devices derived again. */
  const change = async (write: (trx: Trx) => Promise<boolean>): Promise<void> => {
    const changed = await db.transaction(async (trx) => {
      await lockLedger(trx, db.dialect);
      const changes = await write(trx);
      if (changes) await deps.raiseRevision(trx);
      return changes;
    });
    if (changed) void derivation.refresh();
  };

  const placeOf = async (trx: Trx, device: string, license: string): Promise<{ device: number; license: number }> => {
    const at = await store.device(trx, device);
    const of = await store.license(trx, license);
    if (at === undefined || of === undefined) throw missing(device, license);
    return { device: at.ordinal, license: of.ordinal };
  };

  const shown = async (trx: Trx, device: string, license: string): Promise<Classification> => {
    const place = await placeOf(trx, device, license);
    const found = (await derivation.decisionsOf(trx, place.device)).find((l) => l.license === license);
    if (found === undefined) throw missing(device, license);
    const [correction] =
      found.decision.by === "correction"
        ? (await store.correctionsOf(trx, db.dialect, [place.device])).filter((c) => c.code === license)
        : [];
    const { decision, count } = found;
    const rule = decision.rule === undefined ? undefined : (await store.rules(trx))[decision.rule]?.rule;
    return {
      device,
      license,
      count,
      ...decision,
      because: words(decision, correction?.reason, rule),
      ...(correction !== undefined && { reason: correction.reason }),
    };
  };

  /** Writes about one installation and derives its device in the same transaction. */
  const decide = async <T>(
    device: string,
    license: string,
    write: (trx: Trx, place: { device: number; license: number }) => Promise<void>,
    answer: (trx: Trx) => Promise<T>,
  ): Promise<T> => {
    const done = await db.transaction(async (trx) => {
      const place = await placeOf(trx, device, license);
      await deps.lockHeads(trx, [place.device]);
      const first = (await store.anyCorrection(trx)) === undefined;
      await write(trx, place);
      // From the first one on everybody has to look for corrections.
      if (first) await deps.raiseRevision(trx);
      await derivation.deriveNow(trx, [place.device], "corrected");
      return { first, value: await answer(trx) };
    });
    if (done.first) void derivation.refresh();
    deps.events.emit("positions-changed", {});
    return done.value;
  };

  return {
    rules: async () => (await store.rules(db.kysely)).map(({ rule }) => JSON.parse(rule) as ClassificationRule),

    setRules: (rules) =>
      change(async (trx) => {
        const texts = rules.map((rule) => JSON.stringify(rule));
        const held = (await store.rules(trx)).map(({ rule }) => rule);
        if (held.length === texts.length && held.every((text, i) => text === texts[i])) return false;
        await store.replaceRules(db, trx, texts);
        return true;
      }),

    categories: () => store.categories(db.kysely),

    setCategory: (license, category) =>
      change(async (trx) => {
        const row = await store.license(trx, license);
        if (row === undefined) throw serverErrors.make("not-found", { what: "licence", id: license });
        const held = (await store.categories(trx)).find((c) => c.code === license)?.category ?? "managed";
        if (held === category) return false;
        await store.setCategory(trx, row.ordinal, category === "managed" ? undefined : category);
        return true;
      }),

    async corrections({ device, license, ...query }) {
      let select = store.listCorrections(db.kysely);
      if (device !== undefined) select = select.where("d.id", "=", device);
      if (license !== undefined) select = select.where("l.code", "=", license);
      const found = await page(select, {
        dialect: db.dialect,
        query,
        fields: { device: { column: "d.id" }, license: { column: "l.code" } },
      });
      return { ...found, rows: found.rows.map((row) => ({ ...row, at: new Date(row.at).toISOString() })) };
    },

    classificationOf: (device, license) => db.snapshot((trx) => shown(trx, device, license)),

    correct: (device, license, to) =>
      decide(
        device,
        license,
        (trx, place) => store.setCorrection(trx, { ...place, ...to, at: clock.now() }),
        // An installation that is not there is not corrected: this throws, and nothing is written.
        (trx) => shown(trx, device, license),
      ),

    uncorrect: (device, license) =>
      decide(
        device,
        license,
        async (trx, place) => {
          if (!(await store.removeCorrection(trx, place.device, place.license)))
            throw serverErrors.make("not-found", { what: "correction", id: `${license} on ${device}` });
        },
        () => Promise.resolve(),
      ),

    async reconsider(trx, owners) {
      if (!(await derivation.classifies(trx))) return;
      const devices = new Set(owners.flatMap(({ device }) => device ?? []));
      const people = new Set(owners.flatMap(({ device, employee }) => (device === null ? (employee ?? []) : [])));
      for await (const slice of slicesOf([...people], 1000))
        for (const { ordinal } of await store.devicesOf(trx, db.dialect, slice)) devices.add(ordinal);
      if (devices.size > 0) await deps.deriveAgain(trx, [...devices].sort((a, b) => a - b)); // prettier-ignore
    },
  };
}

function words(decision: Decision, reason: string | undefined, rule: string | undefined): string {
  if (decision.by === "correction") return `corrected by hand: ${reason ?? ""}`;
  if (decision.by === "allocation") return "allocated to the device or its user, so it is managed";
  if (decision.by === "category") return `the licence's category is ${decision.class}`;
  if (decision.by === "default" || rule === undefined) return "nothing says otherwise, so it is managed";
  const { class: _, note, ...conditions } = JSON.parse(rule) as ClassificationRule;
  const said = Object.entries(conditions).map(([name, value]) => `${name} ${[value].flat().join(" or ")}`);
  return `rule ${(decision.rule ?? 0) + 1} holds${note === undefined ? "" : ` (${note})`}: ${said.join(", ")}`;
}
