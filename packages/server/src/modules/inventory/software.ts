/**
 * Purpose: the company's software as found: titles with the number of devices that have them, the devices of a title, and what no definition
 * recognises, ranked, with a ready-made draft (domain.md §2 "Upkeep from inventory").
 */
import { draftDefinition, foldName } from "@daicho/policy";
import type { SoftwareDefinition } from "@daicho/protocol";
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { Page } from "../../db/page.ts";
import { createFirstOnes } from "../../http/first-ones.ts";
import type { ListQuery } from "../../http/list.ts";
import { eachPolitely, inSteps, mapPolitely } from "../../slices.ts";
import type { Deriver } from "./deriver.ts";
import type { TitleIndex } from "./title-index.ts";
import type { KnownTitle, Titles } from "./titles.ts";
import { titleStore } from "./title-store.ts";

export interface SoftwareItem {
  readonly id: number;
  readonly name: string;
  readonly version: string;
  readonly publisher?: string;
  readonly source: string;
  readonly arch?: string;
  readonly identifier?: string;
  readonly devices: number;
}

/** Titles of one name. */
interface Group {
  readonly title: KnownTitle;
  readonly ids: number[];
  readonly versions: Set<string>;
  sum: number;
}

export interface UnrecognizedItem {
  readonly name: string;
  readonly publisher?: string;
  readonly source: string;
  readonly versions: readonly string[];
  readonly devices: number;
  readonly draft: SoftwareDefinition;
}

export interface SoftwareView {
  list(query: ListQuery & { readonly name?: string; readonly source?: string }): Promise<Page<SoftwareItem>>;
  /** Device ordinals that have any of the titles with this name (and version, if given). */
  devicesWith(
    query: { readonly name: string; readonly version?: string },
    page: { readonly after: number; readonly limit: number },
  ): Promise<readonly number[]>;
  /** Ranked by devices; made anew at most once a minute. */
  unrecognized(): Promise<readonly UnrecognizedItem[]>;
}

export function createSoftwareView(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly titles: Titles;
  readonly index: TitleIndex;
  readonly deriver: () => Deriver;
}): SoftwareView {
  const { db, titles, index, clock } = deps;
  let cached:
    { readonly items: readonly UnrecognizedItem[]; readonly until: number; readonly generation: number } | undefined;

  const rank = async (): Promise<UnrecognizedItem[]> => {
    const deriver = deps.deriver();
    const groups = new Map<string, Group>();
    for await (const slice of titles.each()) {
      const counts = await index.counts(slice.map((t) => t.id));
      for (const title of slice) {
        const devices = counts.get(title.id) ?? 0;
        if (devices === 0 || deriver.recognizer.matchTitle(title).length > 0) continue;
        const key = `${title.source}\n${foldName(title.name)}`;
        const group = groups.get(key) ?? { title, ids: [], versions: new Set<string>(), sum: 0 };
        group.ids.push(title.id);
        group.versions.add(title.version);
        group.sum += devices;
        groups.set(key, group);
      }
    }
    const first = createFirstOnes<Group>(1000, undefined, (group) => [-group.sum, group.title.name]);
    await eachPolitely(groups.values(), (group) => first.put(group));
    const { items: most } = await inSteps(first.taken());
    // A device with two versions of it counts once.
    const devices = await index.countsOfGroups(most.map(({ ids }) => ids));
    const items = await mapPolitely(most.entries(), ([at, { title, versions }]) => ({
      name: title.name,
      ...(title.publisher !== undefined && { publisher: title.publisher }),
      source: title.source,
      versions: [...versions].slice(0, 20),
      devices: devices[at] as number,
      draft: draftDefinition(title),
    }));
    return items.sort((a, b) => b.devices - a.devices || (a.name < b.name ? -1 : 1));
  };

  return {
    async list(query) {
      const { rows, nextCursor } = await titleStore.page(db, query);
      const counts = await index.counts(rows.map((row) => row.id));
      return {
        rows: rows.map(({ id, name: title, version, publisher, source: from, arch, identifier }) => ({
          id,
          name: title,
          version,
          ...(publisher !== undefined && { publisher }),
          source: from,
          ...(arch !== undefined && { arch }),
          ...(identifier !== undefined && { identifier }),
          devices: counts.get(id) ?? 0,
        })),
        ...(nextCursor !== undefined && { nextCursor }),
      };
    },
    async devicesWith({ name, version }, page) {
      const ids = await titleStore.idsByName(db.kysely, name, version);
      return ids.length === 0 ? [] : index.devices(ids, page);
    },
    async unrecognized() {
      const generation = deps.deriver().generation;
      if (cached === undefined || cached.until < clock.now() || cached.generation !== generation)
        cached = { items: await rank(), until: clock.now() + 60_000, generation };
      return cached.items;
    },
  };
}
