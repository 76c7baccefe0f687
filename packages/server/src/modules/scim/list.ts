/**
 * Purpose: queries (RFC 7644 §3.4.2): filter, sort, page. What an index answers (id, userName, externalId) is asked of the store; everything else is
 * read in slices and compared here, so that any filter works and none holds up anybody.
 * Invariants: one query sees one moment; at most `listLimits.most` resources are answered and `sortLimit` sorted.
 */
import type { Database } from "../../db/database.ts";
import { breathe } from "../../slices.ts";
import { readDirectory } from "./directory.ts";
import type { Groups } from "./groups.ts";
import { listLimits, listResponse } from "./protocol/discovery.ts";
import { scimErrors, valueInvalid } from "./protocol/errors.ts";
import { parseFilter, type Filter } from "./protocol/filter.ts";
import { matches, sortKey } from "./protocol/match.ts";
import { projection, type Projection } from "./protocol/projection.ts";
import { groupType, resolve, userType, type Resource, type ResourceType, type Target } from "./protocol/schema.ts";
import { scimStore as store, type Reader, type UserKeys } from "./store.ts";
import type { Users } from "./users.ts";

const sliceSize = 200;
export const sortLimit = 100_000;

/** As it comes in a query string or in a SearchRequest. */
export interface Query {
  readonly filter?: string;
  readonly sortBy?: string;
  readonly sortOrder?: string;
  readonly startIndex?: number;
  readonly count?: number;
  readonly attributes?: readonly string[];
  readonly excludedAttributes?: readonly string[];
}

export interface Lists {
  one(type: ResourceType, id: string, query: Query, base: string): Promise<Resource>;
  list(types: readonly ResourceType[], query: Query, base: string): Promise<Resource>;
}

interface Asked {
  readonly type: ResourceType;
  readonly filter: Filter | undefined;
  readonly sort: Target | undefined;
  readonly projection: Projection;
  /** Members are costly, and read only where somebody looks at them. */
  readonly members: { readonly compare: boolean; readonly answer: boolean };
}

interface Page {
  total: number;
  readonly resources: Resource[];
}

export function createLists(deps: { readonly db: Database; readonly users: Users; readonly groups: Groups }): Lists {
  const { db, users, groups } = deps;

  /** Every resource of the type that an index cannot rule out, in slices. `withMembers`: as the filter needs them. */
  async function* all(trx: Reader, asked: Asked, base: string): AsyncGenerator<readonly Resource[]> {
    const directory = await readDirectory(trx);
    if (asked.type === groupType) {
      for (const row of directory.groups) {
        yield [await groups.show(trx, row, directory, { base, members: asked.members.compare })];
        if (asked.members.compare) await breathe();
      }
      return;
    }
    const keys = keysOf(asked.filter);
    for (let after = 0; ;) {
      const rows = await store.usersAfter(trx, after, sliceSize, keys);
      const last = rows[rows.length - 1];
      if (last === undefined) return;
      yield await users.show(trx, rows, directory, base);
      if (rows.length < sliceSize) return;
      after = last.ordinal;
      await breathe();
    }
  }

  /** Pages of everything are the store's. */
  async function plainUsers(trx: Reader, base: string, skip: number, count: number): Promise<Page> {
    const { count: total } = await store.countUsers(trx);
    const resources: Resource[] = [];
    const directory = await readDirectory(trx);
    for (let at = 0; at < count; at += sliceSize) {
      const rows = await store.usersPage(trx, skip + at, Math.min(sliceSize, count - at));
      if (rows.length === 0) break;
      resources.push(...(await users.show(trx, rows, directory, base)));
      await breathe();
    }
    return { total: Number(total), resources };
  }

  async function found(trx: Reader, asked: Asked, base: string, skip: number, count: number): Promise<Page> {
    const { filter, sort } = asked;
    if (asked.type === userType && filter === undefined && sort === undefined)
      return plainUsers(trx, base, skip, count);
    const page: Page = { total: 0, resources: [] };
    for await (const slice of all(trx, asked, base))
      for (const resource of slice) {
        if (filter !== undefined && !matches(filter, resource)) continue;
        if (page.total >= skip && page.resources.length < count) page.resources.push(resource);
        page.total++;
      }
    return page;
  }

  /** All that fit, by key and id; then the resources of the page. */
  async function sorted(
    trx: Reader,
    asked: readonly Asked[],
    base: string,
    options: { readonly skip: number; readonly count: number; readonly descending: boolean },
  ): Promise<Page> {
    const keys: { key: string; id: string; type: ResourceType }[] = [];
    for (const one of asked)
      for await (const slice of all(trx, one, base))
        for (const resource of slice) {
          if (one.filter !== undefined && !matches(one.filter, resource)) continue;
          if (keys.length === sortLimit) throw scimErrors.make("scim-too-many", { limit: sortLimit });
          const key = one.sort === undefined ? "" : sortKey(resource, one.sort);
          keys.push({ key, id: resource["id"] as string, type: one.type });
        }
    const sign = options.descending ? -1 : 1;
    keys.sort((a, b) => sign * (compare(a.key, b.key) || compare(a.id, b.id)));
    const resources: Resource[] = [];
    const page = keys.slice(options.skip, options.skip + options.count);
    const directory = await readDirectory(trx);
    const wanted = page.filter((k) => k.type === userType).map((k) => k.id);
    const shown = new Map<string, Resource>();
    for (const user of await users.show(trx, await store.usersById(trx, db.dialect, wanted), directory, base))
      shown.set(user["id"] as string, user);
    for (const { id, type } of page) {
      const group = type === groupType ? directory.groupsById.get(id) : undefined;
      const resource =
        group === undefined ? shown.get(id) : await groups.show(trx, group, directory, { base, members: false });
      if (resource !== undefined) resources.push(resource);
    }
    return { total: keys.length, resources };
  }

  async function answered(
    trx: Reader,
    asked: readonly Asked[],
    resources: readonly Resource[],
    base: string,
  ): Promise<Resource[]> {
    const out: Resource[] = [];
    const directory = asked.some((a) => a.type === groupType) ? await readDirectory(trx) : undefined;
    for (const resource of resources) {
      const group = directory?.groupsById.get(resource["id"] as string);
      const how = asked.find((a) => a.type === (group === undefined ? userType : groupType));
      const full =
        group !== undefined && directory !== undefined && how?.members.answer === true && !("members" in resource)
          ? await groups.show(trx, group, directory, { base, members: true })
          : resource;
      out.push(how === undefined ? full : how.projection.of(full));
    }
    return out;
  }

  return {
    one: (type, id, query, base) =>
      db.snapshot(async (trx) => {
        const asked = askedOf(type, query);
        const directory = await readDirectory(trx);
        if (type === groupType) {
          const row = directory.groupsById.get(id);
          if (row === undefined) throw scimErrors.make("scim-not-found", { what: "Group", id });
          const shown = await groups.show(trx, row, directory, { base, members: asked.members.answer });
          return { ...asked.projection.of(shown), meta: shown["meta"] };
        }
        const row = await store.user(trx, id);
        if (row === undefined) throw scimErrors.make("scim-not-found", { what: "User", id });
        const [shown] = await users.show(trx, [row], directory, base);
        return { ...asked.projection.of(shown as Resource), meta: (shown as Resource)["meta"] };
      }),

    list(types, query, base) {
      const startIndex = Math.max(1, Math.trunc(query.startIndex ?? 1));
      const count = Math.min(listLimits.most, Math.max(0, Math.trunc(query.count ?? listLimits.standard)));
      const order = (query.sortOrder ?? "ascending").toLowerCase();
      if (order !== "ascending" && order !== "descending")
        throw valueInvalid("sortOrder", "must be ascending or descending");
      const asked = askedOfEach(types, query);
      return db.snapshot(async (trx) => {
        const skip = startIndex - 1;
        const page: Page = { total: 0, resources: [] };
        if (query.sortBy !== undefined)
          Object.assign(page, await sorted(trx, asked, base, { skip, count, descending: order === "descending" }));
        else
          for (const one of asked) {
            const part = await found(trx, one, base, Math.max(0, skip - page.total), count - page.resources.length);
            page.total += part.total;
            page.resources.push(...part.resources);
          }
        return listResponse(await answered(trx, asked, page.resources, base), { total: page.total, startIndex });
      });
    },
  };
}

function askedOf(type: ResourceType, query: Query): Asked {
  const filter = query.filter === undefined ? undefined : parseFilter(type, query.filter);
  const shown = projection(type, query);
  const sort = query.sortBy === undefined ? undefined : resolve(type, query.sortBy);
  if (query.sortBy !== undefined && sort?.attribute === undefined)
    throw scimErrors.make("scim-path-invalid", {
      place: "sortBy",
      at: 1,
      reason: `a ${type.name} has no such attribute`,
    });
  return {
    type,
    filter,
    sort,
    projection: shown,
    members: {
      compare: type === groupType && filter !== undefined && mentions(filter, "members"),
      answer: type === groupType && shown.has("members"),
    },
  };
}

/** A search over both types may use what only one of them has; the other then has nothing that fits. */
function askedOfEach(types: readonly ResourceType[], query: Query): Asked[] {
  const asked: Asked[] = [];
  let refusal: unknown;
  for (const type of types)
    try {
      asked.push(askedOf(type, query));
    } catch (error) {
      refusal = error;
    }
  if (asked.length === 0) throw refusal;
  return asked;
}

function mentions(filter: Filter, name: string): boolean {
  if ("terms" in filter) return filter.terms.some((term) => mentions(term, name));
  if (filter.op === "not") return mentions(filter.term, name);
  return "attribute" in filter.place && filter.place.attribute?.name === name;
}

/** Terms that must hold and that an index knows. */
function keysOf(filter: Filter | undefined): UserKeys {
  if (filter === undefined) return {};
  if (filter.op === "and") return Object.assign({}, ...filter.terms.map(keysOf)) as UserKeys;
  if (filter.op !== "eq" || !("attribute" in filter.place) || typeof filter.value !== "string") return {};
  if (filter.place.extension !== undefined || filter.place.sub !== undefined) return {};
  const name = filter.place.attribute?.name;
  if (name === "id") return { id: filter.value };
  if (name === "userName") return { userKey: filter.value.toLowerCase() };
  return name === "externalId" ? { externalId: filter.value } : {};
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
