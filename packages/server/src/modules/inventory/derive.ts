/**
 * Purpose: what devices use by their stored facts: licences with units from the deriver and, where something decides about them, their class. The one
 * way for reports, imports, a changed policy, merges and reconcile.
 */
import { unmanagedClasses, type FoundCopy, type UnmanagedClass } from "@daicho/licensing";
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
          derived.map(({ device, state, ids, licenses }) => ({
            device,
            licenses,
            copies: () => copiesBehind(trx, deriver, state, ids),
            begun: () => begunAt(trx, state),
          })),
        );
  return derived.map(({ device, licenses }, i) => ({
    device,
    licenses: licenses.map((license, at) => ({ ...license, decision: decisions[i]?.[at] ?? managed })),
  }));
}

export function readAsserted(text: string | null): readonly AssertedCode[] {
  return text === null ? [] : (JSON.parse(text) as AssertedCode[]);
}

/** The copies of the titles that show that each licence is used. */
async function copiesBehind(
  trx: Trx,
  deriver: Deriver,
  state: StateRow,
  ids: Uint32Array,
): Promise<ReadonlyMap<string, readonly FoundCopy[]>> {
  const behind = deriver.titlesBehind({
    titles: ids,
    hits: unpackProbes(state.probes),
    asserted: readAsserted(state.asserted),
  });
  const texts = new Map((await titleStore.byIds(trx, [...new Set([...behind.values()].flat())])).map((t) => [t.id, t]));
  const details = detailsById(state, ids, deriver.titleTable);
  return new Map(
    [...behind].map(([license, titles]) => [
      license,
      titles.flatMap((id): FoundCopy[] => {
        const title = texts.get(id);
        if (title === undefined) return [];
        const { name, source, publisher } = title;
        return (details.get(id) ?? [{}]).map(({ installedAt }) => ({
          name,
          source,
          ...(publisher !== undefined && { publisher }),
          ...(installedAt !== undefined && { installedAt }),
        }));
      }),
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
