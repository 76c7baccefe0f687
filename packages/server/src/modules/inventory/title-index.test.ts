import fc from "fast-check";
import { expect, it } from "vitest";
import { silentLog, systemClock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { onlyServer } from "../../testing/servers.ts";
import { forEachStore } from "../../testing/stores.ts";
import { headStore, type StateRow } from "./head-store.ts";
import { indexStore } from "./index-store.ts";
import { changeContainer, containerSize, createBitmapUnion, markOf, members } from "./ordinals.ts";
import { piecesOf, sizeByPieces, tellsUpTo } from "./pieces.ts";
import { applyDifference, difference, packChange, packSorted, unpackChange, unpackSorted } from "./pack.ts";
import { createTitleIndex, type TitleIndex } from "./title-index.ts";

const ordinals = fc.uniqueArray(fc.nat(70_000), { maxLength: 200 }).map((ns) => Uint32Array.from(ns).sort());

it("packed sets come back as they went", () => {
  fc.assert(
    fc.property(ordinals, (set) => {
      expect([...unpackSorted(packSorted(set))]).toEqual([...set]);
    }),
  );
  const far = Uint32Array.of(1, 2 ** 31, 2 ** 32 - 1);
  expect([...unpackSorted(packSorted(far))]).toEqual([...far]);
});

it("a difference applied to its base gives the target, and to another set is refused", () => {
  fc.assert(
    fc.property(ordinals, ordinals, (from, to) => {
      const { added, removed } = difference(from, to);
      const change = { added: Uint32Array.from(added), removed: Uint32Array.from(removed) };
      expect([...(applyDifference(from, change.added, change.removed) ?? [])]).toEqual([...to]);
      if (added.length > 0) expect(applyDifference(to, change.added, new Uint32Array(0))).toBeUndefined();
      if (removed.length > 0) expect(applyDifference(to, new Uint32Array(0), change.removed)).toBeUndefined();
      expect(unpackChange(packChange(change))).toEqual({ first: false, ...change });
    }),
  );
});

it("a container holds what was put in, sparse or dense", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(65_535), { maxLength: 6000, minLength: 3000 }),
      fc.uniqueArray(fc.nat(65_535), { maxLength: 3000 }),
      (put, drop) => {
        const first = changeContainer(undefined, put);
        const second = changeContainer(
          first,
          drop.map((n) => ~n),
        );
        const expected = put.filter((n) => !drop.includes(n)).sort((a, b) => a - b);
        expect(second === undefined ? [] : [...members(second)]).toEqual(expected);
        expect(second === undefined ? 0 : containerSize(second)).toBe(expected.length);
      },
    ),
    { numRuns: 15 },
  );
});

it("a title spread evenly takes little more than the least possible, whether few have it, many or nearly all", () => {
  let seed = 5;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (const part of [0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.9, 0.99]) {
    const put = Array.from({ length: 65_536 }, (_, n) => n).filter(() => random() < part);
    const container = changeContainer(undefined, put) as Buffer;
    expect([...members(container)]).toEqual(put);
    expect(containerSize(container)).toBe(put.length);
    const p = put.length / 65_536;
    const least = -(p * Math.log2(p) + (1 - p) * Math.log2(1 - p)) * 8192;
    expect(container.length / least, `${part}`).toBeLessThan(1.15);
  }
});

it("a container that is cut off has the members that are there, and no more", () => {
  const container = changeContainer(
    undefined,
    Array.from({ length: 2000 }, (_, n) => n * 31 + (n % 7)),
  ) as Buffer;
  const whole = [...members(container)];
  for (let length = 4; length < container.length; length += 97) {
    const some = [...members(container.subarray(0, length))];
    expect(some.slice(0, -1)).toEqual(whole.slice(0, some.length - 1));
  }
});

/** Members of large containers: everything, every second, spread thinly or thickly, late, in crowds, and a few. */
const large = ((): number[][] => {
  let seed = 9;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const all = Array.from({ length: 65_536 }, (_, n) => n);
  return [
    all,
    all.filter((n) => n % 2 === 0),
    ...[0.02, 0.1, 0.4, 0.95, 0.999].map((part) => all.filter(() => random() < part)),
    all.filter((n) => n > 40_000 && random() < 0.3),
    all.filter((n) => n > 1700 && random() < 0.97),
    all.filter((n) => Math.floor(n / 3000) % 2 === 1),
    all.filter((n) => n < 1000 || (n > 30_000 && random() < 0.05)),
    all.filter((n) => n % 300 === 7),
  ];
})();

it("what the first piece of a container tells is so", () => {
  let told = 0;
  for (const list of large) {
    const container = changeContainer(undefined, list) as Buffer;
    const pieces = piecesOf(container);
    const first = pieces[0] as Buffer;
    expect(Buffer.concat(pieces)).toEqual(container);
    const size = sizeByPieces(new Map([[0, first]]));
    expect([undefined, list.length]).toContain(size);
    if (pieces.length === 1) expect(size).toBe(list.length);
    for (const upTo of [1, 100, 1600, 4000, 20_000, 65_536]) {
      if (!tellsUpTo(first, upTo)) continue;
      told++;
      const union = createBitmapUnion(0, upTo);
      union.add(new Map([[0, first]]), []);
      expect(union.devices(0, -1, 65_536)).toEqual(list.filter((n) => n < upTo));
    }
  }
  expect(told).toBeGreaterThan(30);
});

forEachStore((store) => {
  it("a container is read as it was written, also where it was longer or another's before", async () => {
    const db = await store.open();
    const noise = (from: number): Buffer => changeContainer(undefined, Array.from({ length: 30_000 }, (_, n) => (n * 2 + ((n * n * from) % 2)) % 65_536)) as Buffer; // prettier-ignore
    const few = changeContainer(undefined, [1, 9]) as Buffer;
    let held: Buffer | undefined;
    const other = noise(3);
    const write = (title: number, container: Buffer | undefined, before: Buffer | undefined): Promise<void> =>
      db.transaction((trx) => indexStore.write(db, trx, [{ title, chunk: 1, container, held: before }]));
    await write(8, other, undefined);
    for (const container of [noise(1), few, noise(7), other.subarray(0, 2500), undefined, few]) {
      await write(7, container, held);
      held = container;
      const there = await indexStore.containers(db.kysely, [7, 8], [0, 1]);
      expect(there.get(7)?.get(1)).toEqual(container);
      expect(there.get(8)?.get(1)).toEqual(other);
      expect((await indexStore.containers(db.kysely, [7, 8], [0])).size).toBe(0);
    }
  });

  it("titles of tens of thousands of devices, spread, crowded or nearly everywhere: first pieces lead to the same pages and counts", async () => {
    const db = await store.open();
    const empty = { titles: new Uint32Array(0), details: Buffer.alloc(0), probes: Buffer.alloc(0), machine: Buffer.alloc(0) }; // prettier-ignore
    await db.transaction((trx) => headStore.upsertStates(db, trx, [{ device: 131_000, ...empty, scan: null, asserted: null }])); // prettier-ignore
    const model = large.map((list) => list.flatMap((n) => [n, 65_536 + n]).sort((a, b) => a - b));
    for (const [i, list] of large.entries())
      await db.transaction((trx) =>
        indexStore.write(
          db,
          trx,
          [0, 1].map((chunk) => ({
            title: i + 1,
            chunk,
            container: changeContainer(undefined, list),
            held: undefined,
          })),
        ),
      );
    const index = await open(db);
    for (const [i, list] of model.entries()) {
      const title = i + 1;
      expect((await index.counts([title])).get(title)).toBe(list.length);
      for (const after of [0, 5, 900, 7000, 65_000, 65_600, 131_071])
        for (const limit of [1, 100, 2000])
          expect(await index.devices([title], { after, limit })).toEqual(list.filter((d) => d > after).slice(0, limit));
    }
    const either = [...new Set([...(model[1] ?? []), ...(model[3] ?? [])])].sort((a, b) => a - b);
    expect(await index.devices([2, 4], { after: 10, limit: 100 })).toEqual(either.filter((d) => d > 10).slice(0, 100));
    await index.stop();
  });

  const open = (db: Database): Promise<TitleIndex> =>
    createTitleIndex({ db, clock: systemClock, log: silentLog, servers: onlyServer, tailLimit: 100 });

  it("posting + tail is the truth, through merges, crashes and a rebuild", async () => {
    const db = await store.open();
    let index = await open(db);
    const model = new Map<number, Set<number>>();
    let seed = 7;
    const random = (n: number): number => (seed = (seed * 48271) % 2147483647) % n;
    const state = (device: number): StateRow => ({
      device,
      titles: Uint32Array.from(model.get(device) ?? []).sort(),
      details: Buffer.alloc(0),
      probes: Buffer.alloc(0),
      machine: Buffer.alloc(0),
      scan: null,
      asserted: null,
    });
    for (let step = 0; step < 120; step++) {
      const device = 1 + random(8) * 20_000 + random(3);
      const held = model.get(device);
      const before = Uint32Array.from(held ?? []).sort();
      const after = new Set(before);
      for (let i = 0; i < 5; i++) {
        const title = 1 + random(12);
        if (!after.delete(title)) after.add(title);
      }
      model.set(device, after);
      const { added, removed } = difference(before, Uint32Array.from(after).sort());
      await db.transaction(async (trx) => {
        await headStore.upsertStates(db, trx, [state(device)]);
        await headStore.insertChanges(db, trx, [
          { device, at: step, change: packChange(held === undefined ? "first" : { added, removed }) },
        ]);
      });
      const event = random(10);
      if (event === 0) await index.flush();
      // A crash: what is in memory is gone, the change log brings it back.
      if (event === 1) index = await open(db);
      if (event === 2) {
        await index.flush();
        index = await open(db);
      }
      if (step === 60) await index.rebuild();
      if (step % 10 === 0)
        for (let title = 1; title <= 12; title++) {
          const expected = [...model]
            .filter(([, titles]) => titles.has(title))
            .map(([d]) => d)
            .sort((a, b) => a - b);
          expect(await index.devices([title])).toEqual(expected);
          expect((await index.counts([title])).get(title)).toBe(expected.length);
          const mark = expected.reduce((marks, d) => marks ^ markOf(d), 0);
          expect((await index.sets([title])).get(title)).toEqual({ size: expected.length, mark });
          const middle = expected[Math.floor(expected.length / 2)] ?? 0;
          expect(await index.devices([title], { after: middle, limit: 2 })).toEqual(
            expected.filter((d) => d > middle).slice(0, 2),
          );
          const either = [...model]
            .filter(([, titles]) => titles.has(title) || titles.has(1))
            .map(([d]) => d)
            .sort((a, b) => a - b);
          expect(await index.devices([title, 1])).toEqual(either);
          expect(await index.countsOfGroups([[title, 1], [title]])).toEqual([either.length, expected.length]);
        }
    }
    await index.stop();
  });

  it("a long log is merged while it is read: what is kept in memory does not grow with it", async () => {
    const db = await store.open();
    const titles = Uint32Array.of(1, 2, 3, 4, 5);
    const empty = { details: Buffer.alloc(0), probes: Buffer.alloc(0), machine: Buffer.alloc(0) };
    for (let from = 1; from <= 400; from += 100)
      await db.transaction(async (trx) => {
        const some = Array.from({ length: 100 }, (_, i) => from + i);
        await headStore.upsertStates(db, trx, some.map((device) => ({ device, titles, ...empty, scan: null, asserted: null }))); // prettier-ignore
        await headStore.insertChanges(db, trx, some.map((device) => ({ device, at: 0, change: packChange("first") }))); // prettier-ignore
      });
    const index = await open(db);
    expect((await index.counts([3])).get(3)).toBe(400);
    expect(await indexStore.mark(db.kysely, "postings")).toBeGreaterThan(60);
    await index.stop();
  });

  it("two servers answer alike with all that was committed, whoever merges, also where a lower change commits late", async () => {
    const db = await store.open();
    const openAt = (): Promise<TitleIndex> =>
      createTitleIndex({ db, clock: systemClock, log: silentLog, servers: onlyServer, tailLimit: 40 });
    let servers = [await openAt(), await openAt()] as const;
    const model = new Map<number, Set<number>>();
    let seed = 11;
    const random = (n: number): number => (seed = (seed * 48271) % 2147483647) % n;
    const moved = new Set<number>();
    let whole = 0;
    const write = async (trx: Trx, device: number): Promise<void> => {
      const held = model.get(device);
      const before = Uint32Array.from(held ?? []).sort();
      const after = new Set(before);
      for (let i = 0; i < 3; i++) {
        const title = 1 + random(6);
        if (!after.delete(title)) after.add(title);
      }
      const titles = Uint32Array.from(after).sort();
      const none = { details: Buffer.alloc(0), probes: Buffer.alloc(0), machine: Buffer.alloc(0) };
      await headStore.upsertStates(db, trx, [{ device, titles, ...none, scan: null, asserted: null }]);
      const change = packChange(held === undefined ? "first" : difference(before, titles));
      await headStore.insertChanges(db, trx, [{ device, at: 0, change }]);
      model.set(device, after);
      for (const title of [...before, ...titles])
        if (!titles.includes(title) || !before.includes(title)) moved.add(title);
    };
    const check = async (open: readonly number[]): Promise<void> => {
      for (const index of servers)
        for (let title = 1; title <= 6; title++) {
          const known = [...model].filter(([device, titles]) => titles.has(title) && !open.includes(device));
          expect(await index.devices([title])).toHaveLength(known.length);
          expect((await index.counts([title])).get(title)).toBe(known.length);
        }
    };
    for (let round = 0; round < 12; round++) {
      moved.clear();
      const watches = [await servers[0].watch(), await servers[1].watch()];
      for (let i = 0; i < 3; i++) await db.transaction((trx) => write(trx, 1 + random(20)));
      // Devices nobody else touches, so that what is open is not seen at all.
      const late = 100 + round;
      const merges: Promise<void>[] = [];
      if (store.name === "sqlite") await db.transaction((trx) => write(trx, late));
      else
        await db.transaction(async (trx) => {
          await write(trx, late);
          for (let i = 0; i < 3; i++) await db.transaction((other) => write(other, 1 + random(20)));
          await check([late]);
          if (random(2) === 0) merges.push(servers[random(2) as 0 | 1].flush());
          await check([late]);
        });
      await Promise.all(merges);
      await check([]);
      if (random(3) === 0) await servers[random(2) as 0 | 1].flush();
      if (random(5) === 0) await Promise.all(servers.map((index) => index.flush()));
      await check([]);
      for (const watch of watches) {
        const seen = await watch.moved();
        if (seen !== undefined) whole++;
        for (const title of moved) expect(seen?.has(title) ?? true, `${title}`).toBe(true);
        watch.end();
      }
      // One of them is killed and starts again.
      if (random(4) === 0) servers = [servers[1], await openAt()];
      await check([]);
    }
    expect(whole).toBeGreaterThan(12);
    for (const index of servers) await index.stop();
  });
});
