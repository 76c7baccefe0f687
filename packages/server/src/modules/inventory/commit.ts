/**
 * Purpose: writes what became of devices - reports or imported inventories - in the caller's transaction: heads, states, change log, names,
 * licence repository and counters together, so that none is ever true without the others (design.md "Delivery").
 */
import { unpackMachine, unpackProbes } from "@daicho/protocol";
import type { Cause } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import type { DeviceDirectory, UsageRepository } from "../../ports.ts";
import type { AssertedCode, Deriver, DerivedLicense } from "./deriver.ts";
import { headStore, type HeadRow, type StateRow } from "./head-store.ts";
import { indexStore } from "./index-store.ts";
import { packChange, unpackSorted } from "./pack.ts";

export interface StateChange {
  readonly state: StateRow;
  readonly ids: Uint32Array;
  readonly added: ArrayLike<number>;
  readonly removed: ArrayLike<number>;
  /** The device had no state before. */
  readonly first: boolean;
  /** Host name and serial, where the machine section changed. */
  readonly named?: { readonly hostname: string; readonly serial?: string };
}

export interface DeviceChange {
  readonly head: HeadRow;
  /** In order of arrival; several where one device reported more than once. */
  readonly states: readonly StateChange[];
}

export interface Committed {
  /** For the title index, after the commit. */
  readonly notes: readonly {
    readonly change: number;
    readonly device: number;
    readonly added: ArrayLike<number>;
    readonly removed: ArrayLike<number>;
  }[];
  readonly countsChanged: boolean;
}

export async function writeDeviceChanges(
  trx: Trx,
  deps: {
    readonly db: Database;
    readonly devices: DeviceDirectory;
    readonly repository: UsageRepository;
    readonly deriver: Deriver;
  },
  changes: readonly DeviceChange[],
  now: number,
  cause: Cause = "report",
): Promise<Committed> {
  const { db, deriver } = deps;
  const log: { device: number; at: number; change: Buffer }[] = [];
  const notes: { device: number; added: ArrayLike<number>; removed: ArrayLike<number> }[] = [];
  const last: StateChange[] = [];
  const names: { device: number; hostname: string; serial?: string }[] = [];
  for (const { head, states } of changes) {
    for (const change of states) {
      const differs = change.added.length + change.removed.length > 0;
      if (change.first || differs)
        log.push({ device: head.device, at: now, change: packChange(change.first ? "first" : change) });
      if (differs) notes.push({ device: head.device, added: change.added, removed: change.removed });
    }
    const named = states.findLast((s) => s.named !== undefined)?.named;
    if (named !== undefined) names.push({ device: head.device, ...named });
    const newest = states.at(-1);
    if (newest !== undefined) last.push(newest);
  }
  await headStore.upsertStates(
    db,
    trx,
    last.map((change) => change.state),
  );
  await headStore.insertChanges(db, trx, log);
  await headStore.insertHeads(
    db,
    trx,
    changes.map((change) => change.head),
  );
  if (names.length > 0) await deps.devices.renameHosts(trx, names);
  const { changed } =
    last.length === 0
      ? { changed: false }
      : await deps.repository.record(
          trx,
          last.map(({ state, ids }) => ({ device: state.device, licenses: deriveLicenses(deriver, state, ids) })),
          now,
          cause,
        );
  const change = log.length > 0 ? await indexStore.lastChange(trx) : 0;
  return { notes: notes.map((note) => ({ ...note, change })), countsChanged: changed };
}

/** The licences of a stored state under a policy. */
export function deriveLicenses(
  deriver: Deriver,
  state: StateRow,
  ids = unpackSorted(state.titles),
): readonly DerivedLicense[] {
  return deriver.licensesOf({
    titles: ids,
    hits: unpackProbes(state.probes),
    asserted: readAsserted(state.asserted),
    machine: () => unpackMachine(state.machine),
  });
}

export function readAsserted(text: string | null): readonly AssertedCode[] {
  return text === null ? [] : (JSON.parse(text) as AssertedCode[]);
}
