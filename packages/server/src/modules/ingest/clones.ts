/**
 * Purpose: a machine that reported with another one's key (order.ts `clone`) enrols anew; this links its new device to the one it split off from
 * (design.md "Clones"). Of the machine nothing stays the same but its evidence hash - serial, UUID, MACs - so that is remembered beside the key it
 * used, until it comes in the first report of an identity.
 * Invariants: what is remembered and what is linked commits with the reports that showed it; a device is never linked to itself.
 * Evidence is what a sender says, and a hostile one with a valid key can make it up. So of each key the newest are kept, room for all that are set up
 * from one image; the newest, because a machine enrols anew as soon as it is told, so what was made up before does not keep it out.
 */
import type { Clock, Log } from "@daicho/kernel";
import { blob, integer } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";
import { amongBytes } from "../../db/sets.ts";
import type { DeviceDirectory } from "../../ports.ts";
import { packText, unpackText } from "../inventory/compact.ts";

export interface Clones {
  /** These were refused: from this hardware, with this key. In the transaction that refused them, before `link`. */
  note(trx: Trx, refused: readonly { readonly identity: string; readonly evidence: string }[]): Promise<void>;
  /** The first evidence of identities. Locks device rows. */
  link(trx: Trx, first: readonly { readonly device: number; readonly evidence: string }[]): Promise<void>;
}

const mostPerKey = 256;
const columns = [blob("evidence"), blob("identity"), integer("at")];

export function createClones(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly devices: Pick<DeviceDirectory, "splitOff" | "idsOf">;
}): Clones {
  const { db, clock, log, devices } = deps;
  return {
    async note(trx, refused) {
      if (refused.length === 0) return;
      const known = await trx
        .selectFrom("inv_clones")
        .select(["evidence", "identity"])
        .where(
          amongBytes(
            trx,
            "evidence",
            refused.map(({ evidence }) => packText(evidence)),
          ),
        )
        .execute();
      const keyOf = (evidence: string, identity: string): string => `${identity} ${evidence}`;
      const fresh = new Map(refused.map((one) => [keyOf(one.evidence, one.identity), one]));
      for (const { evidence, identity } of known) fresh.delete(keyOf(unpackText(evidence), unpackText(identity)));
      if (fresh.size === 0) return;
      const now = clock.now();
      await db.bulk.insert(
        trx,
        { table: "inv_clones", columns, conflict: ["evidence", "identity"] },
        [...fresh.values()].map(({ evidence, identity }) => [packText(evidence), packText(identity), now]),
      );
      for (const identity of new Set([...fresh.values()].map((one) => one.identity))) await bound(trx, identity);
    },

    async link(trx, first) {
      if (first.length === 0) return;
      const rows = await trx
        .selectFrom("inv_clones as c")
        .leftJoin("inv_identities as i", "i.id", "c.identity")
        .select(["c.evidence", "i.device"])
        .where(
          amongBytes(
            trx,
            "c.evidence",
            first.map(({ evidence }) => packText(evidence)),
          ),
        )
        .orderBy("c.at")
        .execute();
      if (rows.length === 0) return;
      await trx
        .deleteFrom("inv_clones")
        .where(
          amongBytes(
            trx,
            "evidence",
            rows.map(({ evidence }) => evidence),
          ),
        )
        .execute();
      // One that was refused with several keys was last a clone of the last.
      const originals = new Map(rows.map((row) => [unpackText(row.evidence), row.device]));
      const links = first.flatMap(({ device, evidence }) => {
        const from = originals.get(evidence) ?? device;
        return from === device ? [] : [{ device, from }];
      });
      await devices.splitOff(trx, links);
      const ids = await devices.idsOf(
        trx,
        links.flatMap(({ device, from }) => [device, from]),
      );
      for (const { device, from } of links)
        log.warn("device-split-off", { device: ids.get(device), from: ids.get(from) });
    },
  };
}

async function bound(trx: Trx, id: string): Promise<void> {
  const identity = packText(id);
  await trx
    .deleteFrom("inv_clones")
    .where("identity", "=", identity)
    .where("evidence", "not in", (eb) =>
      eb
        .selectFrom("inv_clones")
        .select("evidence")
        .where("identity", "=", identity)
        .orderBy("at", "desc")
        .limit(mostPerKey),
    )
    .execute();
}
