/**
 * Purpose: writes what became of devices - reports or imported inventories - in the caller's transaction: heads, states, change log, names,
 * licence repository and counters together, so that none is ever true without the others (design.md "Delivery").
 */
import type { Cause, DeviceTraits } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import type { DeviceDirectory, UsageRepository } from "../../ports.ts";
import { createTurns, slicesOf } from "../../slices.ts";
import { deriveAll, type DeviceLicenses } from "./derive.ts";
import type { Deriver } from "./deriver.ts";
import { headStore, type HeadRow, type StateRow } from "./head-store.ts";
import { packChange } from "./pack.ts";

export interface StateChange {
  readonly state: StateRow;
  readonly added: ArrayLike<number>;
  readonly removed: ArrayLike<number>;
  /** The device had no state before. */
  readonly first: boolean;
  /** Its chassis changed, or whether it is virtual: from this. */
  readonly reshapedFrom?: DeviceTraits | undefined;
  /** Host name and serial, where the machine section changed. */
  readonly named?: { readonly hostname: string; readonly serial?: string };
}

export interface DeviceChange {
  readonly head: HeadRow;
  /** In order of arrival; several where one device reported more than once. */
  readonly states: readonly StateChange[];
}

export interface Committed {
  readonly countsChanged: boolean;
  /** The change log has grown: after the commit the title index should know. */
  readonly titlesChanged: boolean;
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
  const turn = createTurns();
  const log: { device: number; at: number; change: Buffer }[] = [];
  const last: StateChange[] = [];
  const names: { device: number; hostname: string; serial?: string }[] = [];
  for (const { head, states } of changes) {
    for (const change of states) {
      if (change.first || change.added.length + change.removed.length > 0)
        log.push({ device: head.device, at: now, change: packChange(change.first ? "first" : change) });
    }
    const named = states.findLast((s) => s.named !== undefined)?.named;
    if (named !== undefined) names.push({ device: head.device, ...named });
    const newest = states.at(-1);
    if (newest !== undefined) last.push(newest);
  }
  for await (const slice of slicesOf(last, 100))
    await headStore.upsertStates(
      db,
      trx,
      slice.map((change) => change.state),
    );
  await headStore.insertChanges(db, trx, log);
  await headStore.insertHeads(
    db,
    trx,
    changes.map((change) => change.head),
  );
  await turn();
  if (names.length > 0) await deps.devices.renameHosts(trx, names);
  const derived: DeviceLicenses[] = [];
  for await (const slice of slicesOf(last, 100)) derived.push(...(await deriveAll(trx, deriver, slice)));
  const { changed } = last.length === 0 ? { changed: false } : await deps.repository.record(trx, derived, now, cause);
  const reshaped = changes.flatMap(({ head, states }) => {
    const traits = states.find((s) => s.reshapedFrom !== undefined)?.reshapedFrom;
    return traits === undefined ? [] : [{ device: head.device, traits }];
  });
  if (reshaped.length > 0) await deps.repository.reshaped(trx, reshaped, now);
  return { countsChanged: changed || reshaped.length > 0, titlesChanged: log.length > 0 };
}
