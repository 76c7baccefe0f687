/**
 * Purpose: the class of each installation of some devices, inside the transaction that counts them (packages/licensing/src/classification.ts has
 * the order of what decides).
 * Invariants: a classifier never changes once made, and belongs to one revision of what decides (inventory/revision.ts): devices classified by an
 * older one are derived again. Where there are neither rules nor categories nor corrections there is no classifier, and nothing is looked up.
 */
import {
  compileClassification,
  installationClasses,
  unassigned,
  type ClassificationRule,
  type FoundCopy,
  type FoundTitle,
  type InstallationClass,
} from "@daicho/licensing";
import type { Database, Trx } from "../../../db/database.ts";
import { classificationStore as store } from "./store.ts";

/** A device with what its facts yield. */
export interface Classifiable {
  readonly device: number;
  readonly licenses: readonly { readonly license: string; readonly count: number }[];
  /** Titles, and copies of them, that show that each licence is used; licences without a title are left out. Asked for every licence: remembered. */
  readonly titles: () => Promise<ReadonlyMap<string, readonly FoundTitle[]>>;
  readonly copies: () => Promise<ReadonlyMap<string, readonly FoundCopy[]>>;
  /** When the operating system was installed or the device first reported. */
  readonly begun: () => Promise<number | undefined>;
}

export interface Decision {
  readonly class: InstallationClass;
  readonly by: "correction" | "allocation" | "rule" | "category" | "default";
  /** Place of the rule in the list, from 0. */
  readonly rule?: number;
}

export interface Classifier {
  /** For each device the decision about each of its licences, in their order. */
  decide(trx: Trx, devices: readonly Classifiable[]): Promise<readonly (readonly Decision[])[]>;
}

/** undefined where nothing decides: everything is managed. */
export async function loadClassifier(db: Database, trx: Trx): Promise<Classifier | undefined> {
  const rules = (await store.rules(trx)).map(({ rule }) => JSON.parse(rule) as ClassificationRule);
  const categories = new Map((await store.categories(trx)).map((row) => [row.code, classOf(row.category)]));
  const corrects = (await store.anyCorrection(trx)) !== undefined;
  if (rules.length === 0 && categories.size === 0 && !corrects) return undefined;
  const byRule = compileClassification(rules);
  const decides = rules.length > 0 || categories.size > 0;

  return {
    async decide(inside, devices) {
      const ids = devices.map(({ device }) => device);
      const corrected = new Map<string, InstallationClass>();
      if (corrects)
        for (const row of await store.correctionsOf(inside, db.dialect, ids))
          corrected.set(keyOf(row.device, row.code), classOf(row.class));
      const around = decides ? await surroundings(db, inside, ids) : undefined;
      const out: Decision[][] = [];
      for (const { device, licenses, titles, copies, begun } of devices) {
        const decisions: Decision[] = [];
        for (const { license } of licenses) {
          const correction = corrected.get(keyOf(device, license));
          if (correction !== undefined) decisions.push({ class: correction, by: "correction" });
          else if (around === undefined) decisions.push({ class: "managed", by: "default" });
          else if (around.allocated.has(keyOf(device, license))) decisions.push({ class: "managed", by: "allocation" });
          else {
            const held = await byRule({
              license,
              department: around.departmentOf.get(device) ?? unassigned,
              titles: async () => (await titles()).get(license) ?? [],
              copies: async () => (await copies()).get(license) ?? [],
              begun,
            });
            const category = categories.get(license);
            if (held !== undefined) decisions.push({ class: held.class, by: "rule", rule: held.rule });
            else if (category !== undefined) decisions.push({ class: category, by: "category" });
            else decisions.push({ class: "managed", by: "default" });
          }
        }
        out.push(decisions);
      }
      return out;
    },
  };
}

/** Read without locks: whoever changes who has a device holds its head, and so do we. */
async function surroundings(
  { dialect }: Database,
  trx: Trx,
  ids: readonly number[],
): Promise<{ readonly allocated: ReadonlySet<string>; readonly departmentOf: ReadonlyMap<number, string> }> {
  const owners = await store.owners(trx, dialect, ids);
  const departmentOf = new Map(owners.map((row) => [row.ordinal, row.department ?? unassigned]));
  const allocated = new Set<string>();
  for (const row of await store.allocatedToDevices(trx, dialect, ids))
    if (row.device !== null) allocated.add(keyOf(row.device, row.code));
  const users = new Map<number, number[]>();
  for (const { ordinal, employee } of owners) {
    if (employee === null) continue;
    const theirs = users.get(employee);
    if (theirs === undefined) users.set(employee, [ordinal]);
    else theirs.push(ordinal);
  }
  for (const row of await store.allocatedToEmployees(trx, dialect, [...users.keys()]))
    for (const device of users.get(row.employee ?? 0) ?? []) allocated.add(keyOf(device, row.code));
  return { allocated, departmentOf };
}

/** A class of a newer version reads as managed: what is not understood is counted. */
export function classOf(text: string): InstallationClass {
  return installationClasses.find((known) => known === text) ?? "managed";
}

function keyOf(device: number, license: string): string {
  return `${device}:${license}`;
}
