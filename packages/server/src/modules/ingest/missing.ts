/**
 * Purpose: names the way on which reports were lost that somebody below had acknowledged. A device counts its reports without gaps, and builds a delta or
 * a heartbeat only on what was taken from it. So when one of these does not fit what is held, and its number leaves out numbers that never came
 * here, then whoever was to bring them said `stored` and did not: a relay that drops, a disk that burnt, a server set back. The digest repairs
 * it (order.ts); this records it, by the node directly below that brought the report which showed it. A report that came altered did not come as
 * it was sent: it counts as well.
 * What the evidence does not say: which of several relays in a row it was. What comes late after all is struck off; what was refused here is not
 * missing. Of a device the newest numbers are kept, and for thirty days; so one that means harm cannot fill the table.
 */
import { sparing, type Clock, type Log } from "@daicho/kernel";
import type { ReportHeader, ReportResult } from "@daicho/protocol";
import { integer, text } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";
import type { Schema } from "../../db/schema.ts";
import { among } from "../../db/sets.ts";

/** A report that was not stored, and why. */
export interface Judged {
  readonly header: Pick<ReportHeader, "device" | "epoch" | "seq" | "kind">;
  readonly result: ReportResult;
  /** The node that brought it. */
  readonly from: string | undefined;
  /** Where the device stood; undefined where nothing is held of this key. */
  readonly held: { readonly epoch: number; readonly seq: number } | undefined;
}

export interface MissingAt {
  readonly reports: number;
  readonly devices: number;
  readonly lastAt: number;
}

export interface Missing {
  /** In the transaction that judged them. */
  note(trx: Trx, judged: readonly Judged[]): Promise<void>;
  /** What another node than the device brought, and the device's key did not sign. */
  altered(headers: readonly Judged["header"][], from: string): Promise<void>;
  /** By the node that brought what showed it. */
  byNode(): Promise<ReadonlyMap<string, MissingAt>>;
}

type Row = Schema["inv_missing"];

const mostPerGap = 20;
const mostPerDevice = 40;
const keptMs = 30 * 24 * 3_600_000;
const pruneEveryMs = 3_600_000;
const columns = [text("identity"), integer("epoch"), integer("seq"), text("via"), integer("at")];
const keyOf = ({ identity, epoch, seq }: Pick<Row, "identity" | "epoch" | "seq">): string =>
  `${identity} ${epoch} ${seq}`;

export function createMissing(deps: { readonly db: Database; readonly clock: Clock; readonly log: Log }): Missing {
  const { db, clock } = deps;
  const { warn } = sparing(deps.log, clock);
  let prunedAt = 0;

  async function noted(trx: Trx, devices: readonly string[]): Promise<Map<string, Row>> {
    const rows = await trx
      .selectFrom("inv_missing")
      .selectAll()
      .where(among(trx, "identity", devices))
      .execute();
    return new Map(rows.map((row) => [keyOf(row), row]));
  }

  /** Of each of these devices the newest are kept. */
  async function bound(trx: Trx, rows: Iterable<Row>, devices: ReadonlySet<string>): Promise<void> {
    const all = [...rows].sort((a, b) => b.epoch - a.epoch || b.seq - a.seq);
    for (const identity of devices) {
      const last = all.filter((row) => row.identity === identity)[mostPerDevice - 1];
      if (last === undefined) continue;
      await trx
        .deleteFrom("inv_missing")
        .where("identity", "=", identity)
        .where((eb) =>
          eb.or([eb("epoch", "<", last.epoch), eb.and([eb("epoch", "=", last.epoch), eb("seq", "<", last.seq)])]),
        )
        .execute();
    }
  }

  async function add(trx: Trx, known: ReadonlyMap<string, Row>, fresh: readonly Row[], now: number): Promise<void> {
    if (fresh.length === 0) return;
    await db.bulk.insert(
      trx,
      { table: "inv_missing", columns, conflict: ["identity", "epoch", "seq"] },
      fresh.map((r) => [r.identity, r.epoch, r.seq, r.via, r.at]),
    );
    await bound(trx, known.values(), new Set(fresh.map(({ identity }) => identity)));
    if (now - prunedAt < pruneEveryMs) return;
    prunedAt = now;
    await trx
      .deleteFrom("inv_missing")
      .where("at", "<", now - keptMs)
      .execute();
  }

  async function strike(trx: Trx, { identity, epoch, seq }: Row): Promise<void> {
    await trx
      .deleteFrom("inv_missing")
      .where("identity", "=", identity)
      .where("epoch", "=", epoch)
      .where("seq", "=", seq)
      .execute();
  }

  return {
    async note(trx, judged) {
      if (judged.length === 0) return;
      const now = clock.now();
      const known = await noted(trx, [...new Set(judged.map(({ header }) => header.device))]);
      const fresh: Row[] = [];
      const keep = (identity: string, epoch: number, seq: number, via: string | null): number => {
        const row: Row = { identity, epoch, seq, via, at: now };
        if (known.has(keyOf(row))) return 0;
        known.set(keyOf(row), row);
        return fresh.push(row) && 1;
      };
      for (const { header, result, from, held } of judged) {
        const { device, epoch, seq, kind } = header;
        const before = known.get(keyOf({ identity: device, epoch, seq }));
        if (result.status === "duplicate") {
          if (before !== undefined && before.via !== null && !fresh.includes(before)) await strike(trx, before);
          continue;
        }
        const shows = result.code === "digest-differs" || result.code === "base-differs";
        if (shows && kind !== "full" && held?.epoch === epoch && from !== undefined) {
          let missing = 0;
          for (let one = seq - 1; one > held.seq && one >= seq - mostPerGap; one--)
            missing += keep(device, epoch, one, from);
          if (missing > 0) warn("reports-missing", { node: from, device, after: held.seq, before: seq, missing });
        }
        // It came, so what builds on it must not call it missing.
        if (result.status === "need-full") keep(device, epoch, seq, null);
      }
      await add(trx, known, fresh, now);
    },

    async altered(headers, from) {
      const now = clock.now();
      await db.transaction(async (trx) => {
        const known = await noted(trx, [...new Set(headers.map(({ device }) => device))]);
        const fresh: Row[] = [];
        for (const { device, epoch, seq } of headers) {
          const row: Row = { identity: device, epoch, seq, via: from, at: now };
          if (known.has(keyOf(row))) continue;
          known.set(keyOf(row), row);
          fresh.push(row);
        }
        // In one order, so that two servers do not wait for each other.
        fresh.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
        await add(trx, known, fresh, now);
      });
    },

    async byNode() {
      const rows = await db.latest((from) =>
        from
          .selectFrom("inv_missing")
          .select((eb) => [
            "via",
            eb.fn.countAll<number>().as("reports"),
            eb.fn.count<number>("identity").distinct().as("devices"),
            eb.fn.max("at").as("last"),
          ])
          .where("via", "is not", null)
          .where("at", ">=", clock.now() - keptMs)
          .groupBy("via")
          .execute(),
      );
      return new Map(
        rows.map((row) => [
          String(row.via),
          { reports: Number(row.reports), devices: Number(row.devices), lastAt: Number(row.last) },
        ]),
      );
    },
  };
}
