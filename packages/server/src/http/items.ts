/**
 * Purpose: lists that are computed, not queried: filter, sort and page over items in memory, with the same parameters and cursors as lists from the
 * store (page.ts), and - where everything is asked for at once - a body that is written in slices, so that 100,000 items hold up nobody.
 */
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { eachPolitely, inSteps, slicesOf } from "../slices.ts";
import { compareKeys, createFirstOnes, type ItemKey } from "./first-ones.ts";
import { csvLines, decodeCursor, encodeCursor, flatten, wantsCsv, type ListQuery } from "./list.ts";
import { inputInvalid } from "./problem.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Without `sort` they come in their own order, which is that of their keys. @throws input-invalid */
export async function pageOfItems<T extends object>(
  items: Iterable<T>,
  query: ListQuery,
  options: { readonly fields: readonly (keyof T & string)[]; readonly keyOf: (item: T) => string },
): Promise<{ items: readonly T[]; nextCursor?: string }> {
  const { keyOf } = options;
  const { sort = "", limit = Infinity } = query;
  const name = sort.replace(/^-/, "");
  if (name !== "" && !(options.fields as readonly string[]).includes(name))
    throw inputInvalid([{ path: "querystring/sort", message: `can be one of ${options.fields.join(", ")}` }]);
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

/** All items - which have the same fields - as one body, JSON with `head` before `items`, or CSV; made and written in slices. */
export function sendItems(
  request: FastifyRequest,
  reply: FastifyReply,
  head: Readonly<Record<string, unknown>>,
  items: Iterable<object>,
): FastifyReply {
  return wantsCsv(request)
    ? reply.type("text/csv; charset=utf-8").send(Readable.from(csvSlices(items)))
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

async function* csvSlices(items: Iterable<object>): AsyncGenerator<string> {
  let columns: readonly string[] | undefined;
  for await (const slice of slicesOf(items, mostAtOnce)) {
    const rows = slice.map((item) => flatten(item));
    const head = columns === undefined;
    columns ??= Object.keys(rows[0] ?? {});
    yield csvLines(columns, rows, head);
  }
  if (columns === undefined) yield csvLines([], [], true);
}
