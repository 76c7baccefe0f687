/**
 * The spool against a model: a list. Random appends, reads, acknowledgements, restarts, power cuts in the middle of an
 * append, flipped bits and cut files. After each step, what can be read is compared with what the model says must be there.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualClock, silentLog } from "@daicho/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createCrashFs, type CrashFs } from "./fixtures/crash-fs.ts";
import { openSpool, type Spool } from "./spool.ts";

type Step =
  | { do: "append"; sizes: number[] }
  | { do: "together"; sizes: number[] }
  | { do: "ack"; share: number }
  | { do: "page"; share: number; maxRecords: number }
  | { do: "reopen" }
  | { do: "power"; sizes: number[]; after: number; fate: number }
  | { do: "damage"; file: number; at: number; how: "flip" | "cut" };

const sizes = fc.array(fc.integer({ min: 4, max: 700 }), { minLength: 1, maxLength: 6 });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("append" as const), sizes }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("together" as const), sizes }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("ack" as const), share }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("page" as const), share, maxRecords: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("power" as const),
      sizes,
      after: fc.integer({ min: 0, max: 7 }),
      fate: fc.nat(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("damage" as const),
      file: fc.nat(),
      at: share,
      how: fc.constantFrom("flip" as const, "cut" as const),
    }),
  },
);

interface Kept {
  readonly id: number;
  readonly text: string;
  /** `maybe`: its append was never answered, or its bytes were damaged away. */
  certainty: "sure" | "maybe";
}

/** Where each payload lies in the segment files, read with nothing but the specification. */
function layout(dir: string): { file: string; offset: number; end: number; id: number }[] {
  const places: { file: string; offset: number; end: number; id: number }[] = [];
  for (const file of readdirSync(dir).filter((name) => name.endsWith(".seg"))) {
    const bytes = readFileSync(join(dir, file));
    const marker = Buffer.from(file.slice(-20, -4), "hex");
    for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + 1)) {
      const end = at + 32 + (at + 16 <= bytes.length ? bytes.readUInt32LE(at + 12) : 0);
      const id = Number(bytes.toString("latin1", at + 32, Math.min(end, at + 48)).split(":")[0]);
      places.push({ file, offset: at, end, id });
    }
  }
  return places;
}

async function readAll(spool: Spool): Promise<{ id: number; text: string; position: number }[]> {
  const all: { id: number; text: string; position: number }[] = [];
  for (let from = 0; ;) {
    const page = await spool.read(from, { maxRecords: 7, maxBytes: 2000 });
    if (page.length === 0) return all;
    for (const { data, position } of page) {
      const text = data.toString("latin1");
      all.push({ id: Number(text.split(":")[0]), text, position });
      from = position + 1;
    }
  }
}

function fateOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

async function run(steps: readonly Step[]): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "daicho-spool-model-"));
  const fs: CrashFs = createCrashFs();
  const clock = manualClock(1_000_000);
  const open = (): Promise<Spool> =>
    openSpool({ dir, maxBytes: 1_000_000, segmentBytes: 2_000, fs, log: silentLog, clock });
  const kept: Kept[] = [];
  let ackedId = 0;
  let nextId = 1;
  const make = (size: number): Kept => {
    const id = nextId++;
    return { id, text: `${id}:`.padEnd(size, "x"), certainty: "sure" };
  };
  const bytesOf = (records: readonly Kept[]): Buffer[] => records.map((record) => Buffer.from(record.text, "latin1"));

  /** Everything sure is there, in order; nothing is there that was not appended; `maybe` may be there. */
  async function compare(spool: Spool): Promise<void> {
    const found = await readAll(spool);
    expect(found.map((f) => f.id)).toEqual(found.map((f) => f.id).sort((a, b) => a - b));
    expect(new Set(found.map((f) => f.id)).size).toBe(found.length);
    for (const record of found) expect(kept.find((k) => k.id === record.id)?.text).toBe(record.text);
    const ids = new Set(found.map((f) => f.id));
    const lost = kept.filter((k) => k.certainty === "sure" && k.id > ackedId && !ids.has(k.id));
    expect(lost.map((k) => k.id)).toEqual([]);
    expect(spool.stats().records).toBe(found.length);
    // What is there is as sure as any other. What is not may come back: a second flip of the same bit heals the first.
    for (const k of kept) if (ids.has(k.id)) k.certainty = "sure";
  }

  let spool = await open();
  try {
    for (const action of steps) {
      clock.advance(1000);
      if (action.do === "append") {
        const records = action.sizes.map(make);
        kept.push(...records);
        await spool.append(bytesOf(records));
      } else if (action.do === "together") {
        const records = action.sizes.map(make);
        kept.push(...records);
        await Promise.all([
          ...bytesOf(records).map((data) => spool.append([data])),
          spool.read(0, { maxRecords: 3, maxBytes: 999 }),
        ]);
      } else if (action.do === "ack") {
        const all = await readAll(spool);
        const upTo = all[Math.floor(action.share * all.length)];
        if (upTo === undefined) continue;
        await spool.ack(upTo.position);
        ackedId = upTo.id;
        expect((await readAll(spool)).every((record) => record.id > ackedId)).toBe(true);
      } else if (action.do === "page") {
        const all = await readAll(spool);
        const start = Math.floor(action.share * all.length);
        const from = all[start]?.position;
        if (from === undefined) continue;
        const page = await spool.read(from, { maxRecords: action.maxRecords, maxBytes: 1e6 });
        expect(page.map((record) => record.position)).toEqual(
          all.slice(start, start + action.maxRecords).map((record) => record.position),
        );
      } else if (action.do === "reopen") {
        await spool.close();
        spool = await open();
      } else if (action.do === "power") {
        const records = action.sizes.map(make);
        fs.cutPowerAfter(action.after);
        const answered = await spool.append(bytesOf(records)).then(
          () => true,
          () => false,
        );
        kept.push(
          ...records.map((record) => ({ ...record, certainty: answered ? ("sure" as const) : ("maybe" as const) })),
        );
        fs.powerLoss(fateOf(action.fate));
        // Only gives back file handles and the lock; the disk is as the power cut left it.
        await spool.close();
        spool = await open();
      } else {
        await spool.close();
        const places = layout(dir);
        const files = readdirSync(dir).filter((name) => name.endsWith(".seg"));
        const file = files[action.file % Math.max(files.length, 1)];
        const bytes = file === undefined ? Buffer.alloc(0) : readFileSync(join(dir, file));
        if (file !== undefined && bytes.length > 0) {
          const at = Math.min(Math.floor(action.at * bytes.length), bytes.length - 1);
          if (action.how === "cut") truncateSync(join(dir, file), at);
          else {
            bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
            writeFileSync(join(dir, file), bytes);
          }
          const hit = places.filter((p) => p.file === file && p.end > at && (action.how === "cut" || p.offset <= at));
          for (const k of kept) if (hit.some((p) => p.id === k.id)) k.certainty = "maybe";
        }
        spool = await open();
      }
      await compare(spool);
    }
  } finally {
    await spool.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

test("spool §1, §3, §5: whatever is appended, read, acknowledged, cut off or damaged, the spool holds what the model holds", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => run(steps)),
    { numRuns: Number(process.env["DAICHO_SPOOL_RUNS"] ?? 60) },
  );
});
