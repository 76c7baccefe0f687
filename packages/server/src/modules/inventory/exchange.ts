/**
 * Purpose: two devices exchange what reported for them - identities, heads and states (design.md "Clones": re-imaged machines are merged, and a
 * merge is reversible because raw reports are attached to identities, not rewritten).
 * Invariants: nothing is lost and nothing is written over: doing it again restores what was; titles, change log and licences follow in the same
 * transaction. Call with both devices' heads locked.
 */
import { unpackMachine } from "@daicho/protocol";
import type { Database, Trx } from "../../db/database.ts";
import type { DeviceDirectory, UsageRepository } from "../../ports.ts";
import { reshapedFrom } from "../licenses/coverage/index.ts";
import { deriveAll } from "./derive.ts";
import type { Deriver } from "./deriver.ts";
import { headStore, type StateRow } from "./head-store.ts";
import { difference, packChange } from "./pack.ts";
import type { TitleIndex } from "./title-index.ts";
import type { Titles } from "./titles.ts";

export interface ReportExchange {
  /** When each of the devices last reported, where it did. */
  lastSeen(trx: Trx, devices: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** @returns what to call once the transaction has committed. */
  exchange(trx: Trx, a: number, b: number, at: number): Promise<() => void>;
}

export function createReportExchange(deps: {
  readonly db: Database;
  readonly titles: Pick<Titles, "know">;
  readonly devices: DeviceDirectory;
  readonly repository: UsageRepository;
  readonly deriver: () => Deriver;
  readonly index: Pick<TitleIndex, "grown">;
  /** Forgets where this identity's reports go (modules/ingest). */
  readonly forget: (identity: string) => void;
}): ReportExchange {
  const { db } = deps;
  return {
    lastSeen: (trx, devices) => headStore.lastSeen(trx, devices),

    async exchange(trx, a, b, at) {
      const other = new Map([
        [a, b],
        [b, a],
      ]);
      const identities = [...(await headStore.identitiesAt(trx, a)), ...(await headStore.identitiesAt(trx, b))];
      await headStore.attach(trx, identities.map(({ id, device }) => ({ id, device: other.get(device) as number }))); // prettier-ignore
      const heads = await headStore.heads(trx, [a, b], false);
      const states = await headStore.states(trx, [a, b]);
      await deps.titles.know(trx, [...states.values()].map((state) => state.titles)); // prettier-ignore
      await headStore.removeReports(trx, [a, b]);
      const turned = [...states.values()].map((s): StateRow => ({ ...s, device: other.get(s.device) as number }));
      await headStore.upsertStates(db, trx, turned);
      // What is derived below is no better than this server's policy is new.
      const { generation } = deps.deriver();
      await headStore.insertHeads(
        db,
        trx,
        [...heads.values()].map((head) => ({
          ...head,
          device: other.get(head.device) as number,
          generation: Math.min(head.generation, generation),
        })),
      );

      const titlesOf = (device: number): Uint32Array => states.get(device)?.titles ?? new Uint32Array(0);
      const changes = [a, b].map((device) => ({
        device,
        ...difference(titlesOf(device), titlesOf(other.get(device) as number)),
      }));
      await headStore.insertChanges(db, trx, changes.map((c) => ({ device: c.device, at, change: packChange(c) }))); // prettier-ignore
      await deps.devices.renameHosts(
        trx,
        turned.flatMap((state) => {
          const machine = unpackMachine(state.machine);
          const serial = machine.hardware?.serial;
          return [{ device: state.device, hostname: machine.hostname, ...(serial !== undefined && { serial }) }];
        }),
      );
      const derived = await deriveAll(
        trx,
        deps.deriver(),
        turned.map((state) => ({ state })),
      );
      const licensesAt = new Map(derived.map(({ device, licenses }) => [device, licenses]));
      await deps.repository.record(
        trx,
        [a, b].map((device) => ({ device, licenses: licensesAt.get(device) ?? [] })),
        at,
        "merged",
      );
      await deps.repository.reshaped(
        trx,
        [...states.values()].flatMap(({ device, machine }) => {
          const traits = reshapedFrom(machine, states.get(other.get(device) as number)?.machine);
          return traits === undefined ? [] : [{ device, traits }];
        }),
        at,
      );
      return () => {
        for (const { id } of identities) deps.forget(id);
        deps.index.grown();
      };
    },
  };
}
