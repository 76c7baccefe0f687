/**
 * Purpose: lists that are computed, not queried: filter, sort and page over items in memory, with the same parameters and cursors as lists from the
 * store (page.ts), and - where everything is asked for at once - a body that is written in slices, so that 100,000 items hold up nobody.
 */
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { breathe } from "../slices.ts";
import { decodeCursor, encodeCursor, toCsv, wantsCsv, type ListQuery } from "./list.ts";
import { inputInvalid } from "./problem.ts";

type Fields = Readonly<Record<string, unknown>>;

/** @throws input-invalid */
export function pageOfItems<T extends object>(
  items: readonly T[],
  query: ListQuery,
  options: { readonly fields: readonly (keyof T & string)[]; readonly keyOf: (item: T) => string },
): { items: readonly T[]; nextCursor?: string } {
  const { keyOf } = options;
  const sort = query.sort;
  const name = sort?.replace(/^-/, "");
  if (name !== undefined && !(options.fields as readonly string[]).includes(name))
    throw inputInvalid([{ path: "querystring/sort", message: `can be one of ${options.fields.join(", ")}` }]);
  const sign = sort?.startsWith("-") === true ? -1 : 1;
  const valueOf = (item: T): string | number => (name === undefined ? "" : ((item as Fields)[name] as string | number));
  const order = (a: readonly [string | number, string], b: readonly [string | number, string]): number =>
    sign * (compare(a[0], b[0]) || compare(a[1], b[1]));
  const sorted =
    sort === undefined ? items : [...items].sort((a, b) => order([valueOf(a), keyOf(a)], [valueOf(b), keyOf(b)]));
  const limit = query.limit ?? sorted.length;
  let start = 0;
  if (query.cursor !== undefined) {
    const parts = decodeCursor(query.cursor);
    if (parts?.length !== 3 || parts[0] !== (sort ?? "") || typeof parts[2] !== "string")
      throw inputInvalid([{ path: "querystring/cursor", message: "is not a cursor of this list and this order" }]);
    const last = [parts[1] as string | number, parts[2]] as const;
    start = sorted.findIndex((item) => order([valueOf(item), keyOf(item)], last) > 0);
    if (start === -1) start = sorted.length;
  }
  const page = sorted.slice(start, start + limit);
  const end = page[page.length - 1];
  return {
    items: page,
    ...(start + limit < sorted.length &&
      end !== undefined && { nextCursor: encodeCursor([sort ?? "", valueOf(end), keyOf(end)]) }),
  };
}

/** All items as one body, JSON with `head` before `items`, or CSV; made and written in slices. */
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

const sliceSize = 500;

async function* jsonSlices(head: Readonly<Record<string, unknown>>, items: Iterable<object>): AsyncGenerator<string> {
  const opening = JSON.stringify({ ...head, items: [] });
  let text = opening.slice(0, -2);
  let separator = "";
  for (const slice of inSlices(items)) {
    text += separator + JSON.stringify(slice).slice(1, -1);
    separator = ",";
    yield text;
    text = "";
    await breathe();
  }
  yield `${text}]}`;
}

async function* csvSlices(items: Iterable<object>): AsyncGenerator<string> {
  let first = true;
  for (const slice of inSlices(items)) {
    const csv = toCsv(slice);
    yield first ? csv : csv.slice(csv.indexOf("\n") + 1);
    first = false;
    await breathe();
  }
  if (first) yield toCsv([]);
}

function* inSlices(items: Iterable<object>): Generator<object[]> {
  let slice: object[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < sliceSize) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
