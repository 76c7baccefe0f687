/**
 * Purpose: lists that are computed, not queried: filter, sort and page over items in memory, with the same parameters and cursors as lists from the
 * store (page.ts), and - where everything is asked for at once - a body that is written in slices, so that 100,000 items hold up nobody.
 */
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { eachPolitely, inSteps, slicesOf } from "../slices.ts";
import { compareKeys, createFirstOnes, type ItemKey } from "./first-ones.ts";
import { csvColumns, csvLines, decodeCursor, encodeCursor, flatten, wantsCsv, type ListQuery } from "./list.ts";
import { inputInvalid } from "./problem.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Keeps what has the values that the query names. */
export function having<Name extends string>(
  query: { readonly [name in Name]?: unknown },
  names: readonly Name[],
): (item: { readonly [name in Name]?: unknown }) => boolean {
  return (item) => names.every((name) => query[name] === undefined || item[name] === query[name]);
}

/** Without `sort` they come in their own order, which is that of their keys, or of their places. @throws input-invalid */
export async function pageOfItems<T extends object>(
  items: Iterable<T>,
  query: ListQuery,
  options: { readonly fields: readonly (keyof T & string)[]; readonly keyOf?: (item: T) => string },
): Promise<{ items: readonly T[]; nextCursor?: string }> {
  let place = 0;
  const keyOf = options.keyOf ?? (() => String(place++).padStart(9, "0"));
  const { sort = "", limit = Infinity } = query;
  const name = sort.replace(/^-/, "");
  if (name !== "" && !(options.fields as readonly string[]).includes(name))
    throw inputInvalid([
      {
        path: "querystring/sort",
        message: options.fields.length === 0 ? "the list has one order" : `can be one of ${options.fields.join(", ")}`,
      },
    ]);
  const sign = sort.startsWith("-") ? -1 : 1;
  const page = createFirstOnes<T>(
    limit,
    cursorOf(query.cursor, sort),
    (item) => [name === "" ? "" : ((item as Fields)[name] as string | number), keyOf(item)],
    (a, b) => sign * compareKeys(a, b),
  );
  await eachPolitely(items, (item) => page.put(item));
  const { items: found, next } = await inSteps(page.taken());
  return { items: found, ...(next !== undefined && { nextCursor: encodeCursor([sort, ...next]) }) };
}

/** @throws input-invalid */
function cursorOf(cursor: string | undefined, sort: string): ItemKey | undefined {
  if (cursor === undefined) return undefined;
  const parts = decodeCursor(cursor);
  if (parts?.length === 3 && parts[0] === sort && typeof parts[2] === "string") return parts.slice(1);
  throw inputInvalid([{ path: "querystring/cursor", message: "is not a cursor of this list and this order" }]);
}

/** All items as one body, JSON with `head` before `items`, or CSV; made and written in slices. */
export function sendItems(
  request: FastifyRequest,
  reply: FastifyReply,
  head: Readonly<Record<string, unknown>>,
  items: Iterable<object>,
  columns = csvColumns(request),
): FastifyReply {
  return wantsCsv(request)
    ? reply.type("text/csv; charset=utf-8").send(Readable.from(csvSlices(items, columns)))
    : reply.type("application/json; charset=utf-8").send(Readable.from(jsonSlices(head, items)));
}

const mostAtOnce = 1000;

async function* jsonSlices(head: Readonly<Record<string, unknown>>, items: Iterable<object>): AsyncGenerator<string> {
  let text = JSON.stringify({ ...head, items: [] }).slice(0, -2);
  let separator = "";
  for await (const slice of slicesOf(items, mostAtOnce)) {
    yield text + separator + JSON.stringify(slice).slice(1, -1);
    separator = ",";
    text = "";
  }
  yield `${text}]}`;
}

async function* csvSlices(items: Iterable<object>, columns: readonly string[]): AsyncGenerator<string> {
  yield csvLines(columns, [], true);
  for await (const slice of slicesOf(items, mostAtOnce))
    yield csvLines(
      columns,
      slice.map((item) => flatten(item)),
    );
}
