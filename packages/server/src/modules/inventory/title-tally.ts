/**
 * Purpose: for reconcile, which devices have each title, added up from the devices' states and held against the title index.
 * Invariants: a set of devices is one number and its size (ordinals.ts): sets that differ have other ones, however large they are. What reports changed
 * while the states were read is not judged: the next time it stands still.
 */
import { slicesOf } from "../../slices.ts";
import { titlesOfBase, type TitleParts } from "./bases.ts";
import { markOf, noDevices, type DeviceSet } from "./ordinals.ts";
import type { TitleIndex } from "./title-index.ts";
import type { Titles } from "./titles.ts";

export interface TitleDifference {
  readonly title: number;
  /** Told apart by their marks where they are equally many. */
  readonly stored: number | string;
  readonly recomputed: number | string;
}

export interface TitleTally {
  add(device: number, parts: TitleParts): void;
  /** Where the index says something else; nothing while not all that came meanwhile is known. */
  differences(): AsyncGenerator<readonly TitleDifference[]>;
  /** Once nothing more is asked. */
  end(): void;
}

export async function createTitleTally(deps: {
  readonly titles: Pick<Titles, "each">;
  readonly index: Pick<TitleIndex, "watch" | "sets">;
}): Promise<TitleTally> {
  const watch = await deps.index.watch();
  const byTitle = createSets();
  /** What has a base has all of its titles: added up once for all of them. */
  const byBase = new Map<number, DeviceSet>();
  return {
    add(device, { base, added, removed }) {
      const mark = markOf(device);
      if (base !== null) {
        const { size, mark: marks } = byBase.get(base) ?? noDevices;
        byBase.set(base, { size: size + 1, mark: marks ^ mark });
      }
      for (let i = 0; i < added.length; i++) byTitle.add(added[i] as number, 1, mark);
      for (let i = 0; i < removed.length; i++) byTitle.add(removed[i] as number, -1, mark);
    },
    async *differences() {
      for await (const slice of slicesOf(byBase, 100))
        for (const [base, { size, mark }] of slice)
          for (const title of titlesOfBase(base)) byTitle.add(title, size, mark);
      const found: TitleDifference[] = [];
      for await (const page of deps.titles.each()) {
        const sets = await deps.index.sets(page.map(({ id }) => id));
        for (const { id } of page) {
          const [stored, recomputed] = [sets.get(id) ?? noDevices, byTitle.of(id)];
          if (stored.size !== recomputed.size)
            found.push({ title: id, stored: stored.size, recomputed: recomputed.size });
          else if (stored.mark !== recomputed.mark)
            found.push({ title: id, stored: textOf(stored), recomputed: textOf(recomputed) });
        }
      }
      if (found.length === 0) return;
      const moved = await watch.moved();
      if (moved !== undefined) yield found.filter(({ title }) => !moved.has(title));
    },
    end: () => watch.end(),
  };
}

const textOf = ({ size, mark }: DeviceSet): string => `${size} (${(mark >>> 0).toString(16).padStart(8, "0")})`;

/** By title, in two number arrays: there may be a million. */
function createSets() {
  let sizes = new Int32Array(1 << 16);
  let marks = new Int32Array(1 << 16);
  return {
    add(title: number, size: number, mark: number): void {
      if (title >= sizes.length) {
        const length = Math.max(title + 1, sizes.length * 2);
        const wider = { sizes: new Int32Array(length), marks: new Int32Array(length) };
        wider.sizes.set(sizes);
        wider.marks.set(marks);
        ({ sizes, marks } = wider);
      }
      sizes[title] = (sizes[title] as number) + size;
      marks[title] = (marks[title] as number) ^ mark;
    },
    of: (title: number): DeviceSet => ({ size: sizes[title] ?? 0, mark: marks[title] ?? 0 }),
  };
}
