/** What is stored compactly comes back exactly as it was: names, evidence, titles against their bases, containers. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { createBaseBook, unpackTitles } from "./bases.ts";
import { packEvidence, packText, unpackEvidence, unpackText } from "./compact.ts";
import { changeContainer, containerSize, createBitmapUnion, members } from "./ordinals.ts";

it("any text comes back, and hex digits take half their length", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => unpackText(packText(text)) === text));
  for (const text of ["", "import", "abc", "ABCD", "00", "c23a11a8884fd35dc2ba288cf2ab2c04"])
    expect(unpackText(packText(text))).toBe(text);
  expect(packText("c23a11a8884fd35dc2ba288cf2ab2c04")).toHaveLength(17);
});

it("any evidence comes back letter for letter, whatever its order and form", () => {
  const uuid = fc.oneof(fc.uuid(), fc.uuid().map((u) => u.toUpperCase()), fc.string({ maxLength: 20 })); // prettier-ignore
  const mac = fc.oneof(fc.constantFrom("02:76:89:68:43:3d", "02-76-89-68-43-3D", ""), fc.string({ maxLength: 20 }));
  const evidence = fc.record(
    { hostname: fc.string(), serial: fc.string(), uuid, macs: fc.array(mac, { maxLength: 4 }) },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(evidence, fc.boolean(), (value, turned) => {
      const json = JSON.stringify(turned ? Object.fromEntries(Object.entries(value).reverse()) : value);
      expect(unpackEvidence(packEvidence(json))).toBe(json);
    }),
  );
  const usual = JSON.stringify({ hostname: "pc-1", serial: "X1", uuid: "7791cb52-2d9f-4cea-a911-6976600f6954", macs: ["02:76:89:68:43:3d"] }); // prettier-ignore
  expect(packEvidence(usual).length).toBeLessThan(40);
});

it("titles come back from whatever base they were packed against, and devices set up alike share one", () => {
  const alike = fc.tuple(
    fc.uniqueArray(fc.nat(60_000), { minLength: 80, maxLength: 300 }),
    fc.array(fc.uniqueArray(fc.nat(60_000), { maxLength: 30 }), { minLength: 2, maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.array(alike, { maxLength: 4 }), (groups) => {
      const book = createBaseBook();
      let hint: number | null = null;
      for (const [shared, owns] of groups)
        for (const own of owns) {
          const ids = Uint32Array.from(new Set([...shared, ...own])).sort();
          const packed = book.pack(ids, hint);
          expect(unpackTitles(packed)).toEqual(ids);
          hint = packed.base;
        }
    }),
    { numRuns: 60 },
  );
  const book = createBaseBook();
  const device = (n: number): Uint32Array =>
    Uint32Array.from([...Array.from({ length: 600 }, (_, i) => i * 7), ...Array.from({ length: 100 }, (_, i) => 5000 + ((i * 977 + n * 31) % 40_000))]).sort(); // prettier-ignore
  const bytes = Array.from({ length: 20 }, (_, n) => book.pack(device(n)).titles.length);
  expect(book.size).toBe(1);
  expect(Math.max(...bytes.slice(1))).toBeLessThan((bytes[0] as number) / 2);
});

it("a base that a row names was handed out to be stored, with this row or an earlier one", () => {
  let seed = 11;
  const random = (n: number): number => (seed = (seed * 48271) % 2147483647) % n;
  const some = (n: number): number[] => Array.from({ length: n }, () => random(20_000));
  const templates = Array.from({ length: 12 }, () => some(300));
  const book = createBaseBook();
  const stored = new Set<number>();
  let hint: number | null = null;
  for (let device = 0; device < 1500; device++) {
    const less = random(50);
    const parts = [0, 1, 2].flatMap(() => (templates[random(12)] as number[]).filter(() => random(100) >= less));
    const ids = Uint32Array.from(new Set([...parts, ...some(40)])).sort();
    const packed = book.pack(ids, random(2) === 0 ? hint : null);
    expect(unpackTitles(packed)).toEqual(ids);
    if (packed.made !== undefined) stored.add(packed.made.id);
    if (packed.base !== null && !stored.has(packed.base)) throw new Error(`${packed.base} was never handed out`);
    hint = packed.base;
  }
  expect(stored.size).toBe(book.size);
  expect(stored.size).toBeGreaterThan(5);
});

it("containers hold exactly what was put in, however much it is", () => {
  const change = fc.tuple(fc.nat(65_535), fc.boolean());
  const wide = fc.tuple(fc.nat(65_535), fc.nat(20_000), fc.boolean());
  fc.assert(
    fc.property(fc.array(fc.oneof(change, wide), { maxLength: 6 }), (steps) => {
      const model = new Set<number>();
      let container: Buffer | undefined;
      for (const step of steps) {
        const [from, count, present] = step.length === 2 ? [step[0], 1, step[1]] : step;
        const offsets = Array.from({ length: count }, (_, i) => (from + i * 3) % 65_536);
        for (const offset of offsets)
          if (present) model.add(offset);
          else model.delete(offset);
        container = changeContainer(container, present ? offsets : offsets.map((offset) => ~offset));
        const expected = [...model].sort((a, b) => a - b);
        expect(container === undefined ? [] : [...members(container)]).toEqual(expected);
        expect(container === undefined ? 0 : containerSize(container)).toBe(expected.length);
        expect((container?.length ?? 0) <= 8193).toBe(true);
        const union = createBitmapUnion();
        if (container !== undefined) union.add(new Map([[2, container]]), []);
        const devices = expected.map((member) => 2 * 65_536 + member);
        expect([union.size(), union.devices(2, 0, 65_536)]).toEqual([devices.length, devices]);
        const middle = devices[Math.floor(devices.length / 2)] ?? 0;
        expect(union.devices(2, middle, 2)).toEqual(devices.filter((device) => device > middle).slice(0, 2));
        const begun = createBitmapUnion(2, from);
        if (container !== undefined) begun.add(new Map([[2, container]]), []);
        expect(begun.devices(2, 0, 65_536)).toEqual(devices.filter((device) => device < 2 * 65_536 + from));
        const elsewhere = createBitmapUnion(1);
        if (container !== undefined) elsewhere.add(new Map([[2, container]]), [Int32Array.of(2 * 65_536)]);
        expect(elsewhere.size()).toBe(0);
      }
    }),
    { numRuns: 60 },
  );
  // As an earlier version wrote it.
  const old = Buffer.from([0, 3, 0, 0, 1]);
  expect([...members(old)]).toEqual([3, 256]);
  expect([...members(changeContainer(old, [~3, 7]) as Buffer)]).toEqual([7, 256]);
});
