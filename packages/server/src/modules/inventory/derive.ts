/**
 * Purpose: what devices use by their stored facts: licences with units from the deriver and, where something decides about them, their class. The one
 * way for reports, imports, a changed policy, merges and reconcile.
 */
import { unmanagedClasses, type FoundCopy, type FoundTitle, type UnmanagedClass } from "@daicho/licensing";
import { unpackDetails, unpackMachine, unpackProbes, type TitleDetail } from "@daicho/protocol";
import type { Trx } from "../../db/database.ts";
import type { Decision } from "../licenses/classification/index.ts";
import type { AssertedCode, Deriver, DerivedLicense } from "./deriver.ts";
import type { StateRow } from "./head-store.ts";
import { indexStore } from "./index-store.ts";
import { titleStore } from "./title-store.ts";
import { sortedByHash, type TitleTable } from "./title-table.ts";

export interface ClassedLicense extends DerivedLicense {
  /** Absent = managed. */
  readonly class?: UnmanagedClass;
}

export interface DeviceLicenses {
  readonly device: number;
  readonly licenses: readonly ClassedLicense[];
}

/** A state, with its unpacked title ids where they are at hand. */
export interface StoredState {
  readonly state: StateRow;
  readonly ids?: Uint32Array;
}

export async function deriveAll(
  trx: Trx,
  deriver: Deriver,
  states: readonly StoredState[],
): Promise<readonly DeviceLicenses[]> {
  return (await decideAll(trx, deriver, states)).map(({ device, licenses }) => ({
    device,
    licenses: licenses.map(({ decision, ...license }) => {
      const to = unmanagedClasses.find((unmanaged) => unmanaged === decision.class);
      return to === undefined ? license : { ...license, class: to };
    }),
  }));
}

const managed: Decision = { class: "managed", by: "default" };

/** The same with what decided about each installation. */
export async function decideAll(
  trx: Trx,
  deriver: Deriver,
  states: readonly StoredState[],
): Promise<
  readonly {
    readonly device: number;
    readonly licenses: readonly (DerivedLicense & { readonly decision: Decision })[];
  }[]
> {
  const { classifier } = deriver;
  const derived = states.map(({ state, ids = state.titles }) => ({
    device: state.device,
    state,
    ids,
    licenses: deriver.licensesOf({
      titles: ids,
      hits: unpackProbes(state.probes),
      asserted: readAsserted(state.asserted),
      machine: () => unpackMachine(state.machine),
    }),
  }));
  const decisions =
    classifier === undefined
      ? []
      : await classifier.decide(
          trx,
          derived.map(({ device, state, ids, licenses }) => {
            const titles = once(() => titlesBehind(trx, deriver, state, ids));
            return {
              device,
              licenses,
              titles,
              copies: once(async () => copiesOf(await titles(), deriver, state, ids)),
              begun: once(() => begunAt(trx, state)),
            };
          }),
        );
  return derived.map(({ device, licenses }, i) => ({
    device,
    licenses: licenses.map((license, at) => ({ ...license, decision: decisions[i]?.[at] ?? managed })),
  }));
}

export function readAsserted(text: string | null): readonly AssertedCode[] {
  return text === null ? [] : (JSON.parse(text) as AssertedCode[]);
}

/** The titles that show that each licence is used. */
async function titlesBehind(
  trx: Trx,
  deriver: Deriver,
  state: StateRow,
  ids: Uint32Array,
): Promise<ReadonlyMap<string, readonly TitleBehind[]>> {
  const behind = deriver.titlesBehind({
    titles: ids,
    hits: unpackProbes(state.probes),
    asserted: readAsserted(state.asserted),
  });
  const texts = await textsOf(trx, deriver.titleTable, [...behind.values()].flat());
  return new Map([...behind].map(([license, titles]) => [license, titles.flatMap((id) => texts.get(id) ?? [])]));
}

interface TitleBehind extends FoundTitle {
  readonly id: number;
}

/** Committed titles never change, and those that any licence is told by are few: every report asks for the same ones. */
const rememberedTitles = 50_000;
const remembered = new WeakMap<TitleTable, Map<number, TitleBehind>>();

async function textsOf(trx: Trx, table: TitleTable, ids: readonly number[]): Promise<ReadonlyMap<number, TitleBehind>> {
  let known = remembered.get(table);
  if (known === undefined || known.size > rememberedTitles) remembered.set(table, (known = new Map()));
  const texts = known;
  const unread = new Set(ids.filter((id) => !texts.has(id)));
  for (const { id, name, source, publisher } of await titleStore.byIds(trx, [...unread]))
    texts.set(id, { id, name, source, ...(publisher !== undefined && { publisher }) });
  return texts;
}

/** The copies of the titles behind each licence. */
function copiesOf(
  behind: ReadonlyMap<string, readonly TitleBehind[]>,
  deriver: Deriver,
  state: StateRow,
  ids: Uint32Array,
): ReadonlyMap<string, readonly FoundCopy[]> {
  const details = detailsById(state, ids, deriver.titleTable);
  return new Map(
    [...behind].map(([license, titles]) => [
      license,
      titles.flatMap(({ id, ...title }) =>
        (details.get(id) ?? [{}]).map(({ installedAt }): FoundCopy => ({
          ...title,
          ...(installedAt !== undefined && { installedAt }),
        })),
      ),
    ]),
  );
}

/** The details section is parallel to the titles sorted by hash; we keep them sorted by id. */
function detailsById(state: StateRow, ids: Uint32Array, table: TitleTable): Map<number, readonly TitleDetail[]> {
  try {
    const details = unpackDetails(state.details, ids.length);
    return new Map(sortedByHash(ids, table).map((id, i) => [id, details[i] ?? [{}]]));
  } catch {
    // A device that signs nonsense about its copies still has its titles.
    return new Map();
  }
}

async function begunAt(trx: Trx, state: StateRow): Promise<number | undefined> {
  const os = unpackMachine(state.machine).hardware?.os as { readonly installedAt?: unknown } | undefined;
  const installed = typeof os?.installedAt === "string" ? Date.parse(os.installedAt) : Number.NaN;
  return Number.isNaN(installed) ? indexStore.firstChange(trx, state.device) : installed;
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => (answer ??= work());
}
