/**
 * Purpose: lists (contract.md "Administration"): `{ items, nextCursor? }`, `?limit&cursor&sort` and `Accept: text/csv`.
 * The cursor is the last item's sort key, so a page costs the same wherever it lies.
 * A list is a route whose answer's schema has `items`: the columns of its CSV are that schema's fields, whatever items there are, or none.
 */
import { Type, type Static, type TSchema } from "@sinclair/typebox";
import { stringify } from "csv-stringify/sync";
import type { FastifyReply, FastifyRequest } from "fastify";
import { eachPolitely, slicesOf } from "../slices.ts";
import { inPieces } from "./sliced-answers.ts";

export const ListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 100 })),
  cursor: Type.Optional(Type.String({ maxLength: 512 })),
  /** Field name, `-` before it for descending. */
  sort: Type.Optional(Type.String({ maxLength: 64 })),
});
export type ListQuery = Static<typeof ListQuery>;

/** Of short lists whose items are added up: without a limit all of them come, so that no reader adds up a part by mistake. */
export const Unlimited = Type.Object({
  ...ListQuery.properties,
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
});

// The element type is inferred from the schema given.
export const listOf = <T extends TSchema>(item: T) =>
  Type.Object({ items: Type.Array(item), nextCursor: Type.Optional(Type.String()) }, { additionalProperties: true });

/** What the items of a route's answer are; undefined where that is no list. Of a schema in the house or in the OpenAPI document. */
export function itemsOf(answer: unknown): TSchema | undefined {
  const list = (answer as { properties?: { items?: Partial<TSchema> } } | undefined)?.properties?.items;
  return list?.["type"] === "array" ? (list["items"] as TSchema) : undefined;
}

/** The columns that `flatten` makes of what fits the schema; a field that may be several things has those of each. */
export function columnsOf(schema: TSchema | undefined, prefix = ""): readonly string[] {
  if (schema === undefined) return [];
  const kinds = (schema["anyOf"] ?? schema["allOf"]) as readonly TSchema[] | undefined;
  if (kinds?.some((kind) => kind["properties"] !== undefined) === true)
    return [...new Set(kinds.flatMap((kind) => columnsOf(kind, prefix)))];
  const fields = schema["properties"] as Readonly<Record<string, TSchema>> | undefined;
  if (fields !== undefined)
    return Object.entries(fields).flatMap(([name, field]) =>
      columnsOf(field, prefix === "" ? name : `${prefix}.${name}`),
    );
  // Of an object with any fields only the items can tell.
  return prefix === "" || schema["type"] === "object" || schema["type"] === "null" ? [] : [prefix];
}

/** The columns of the list that the route says it answers. */
export function csvColumns(request: FastifyRequest): readonly string[] {
  const answers = request.routeOptions.schema?.response as Readonly<Record<string, unknown>> | undefined;
  return columnsOf(itemsOf(answers?.["200"]));
}

export function encodeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString("base64url");
}

/** undefined where the text is no cursor of ours. */
export function decodeCursor(cursor: string | undefined): readonly (string | number)[] | undefined {
  if (cursor === undefined) return undefined;
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    return Array.isArray(key) && key.every((k) => typeof k === "string" || typeof k === "number") ? key : undefined;
  } catch {
    return undefined;
  }
}

export function wantsCsv(request: FastifyRequest): boolean {
  return (request.headers.accept ?? "").split(",").some((part) => part.trim().startsWith("text/csv"));
}

/** Sends a list as JSON, or as CSV where the caller asks for it; then `columns` are first, and others that items have. */
export async function sendList(
  request: FastifyRequest,
  reply: FastifyReply,
  list: { readonly items: readonly object[]; readonly nextCursor?: string },
  columns = csvColumns(request),
): Promise<FastifyReply> {
  if (!wantsCsv(request)) return reply.send(list);
  if (list.nextCursor !== undefined) void reply.header("daicho-next-cursor", list.nextCursor);
  const rows: Record<string, string>[] = [];
  const names = new Set(columns);
  await eachPolitely(list.items, (one) => {
    const row = flatten(one);
    for (const [name, cell] of Object.entries(row)) if (cell !== "") names.add(name);
    rows.push(row);
  });
  const parts = [Buffer.from(csvLines([...names], [], true))];
  for await (const slice of slicesOf(rows, 1000)) parts.push(Buffer.from(csvLines([...names], slice)));
  return reply.type("text/csv; charset=utf-8").send(inPieces(reply, parts));
}

/** The same for a page as the stores answer it. */
export function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  { rows, nextCursor }: { readonly rows: readonly object[]; readonly nextCursor?: string },
  columns?: readonly string[],
): Promise<FastifyReply> {
  return sendList(request, reply, { items: rows, ...(nextCursor !== undefined && { nextCursor }) }, columns);
}

export function csvLines(
  columns: readonly string[],
  rows: readonly Readonly<Record<string, string>>[],
  head = false,
): string {
  return stringify([...(head ? [columns] : []), ...rows.map((row) => columns.map((c) => guard(row[c] ?? "")))]);
}

// A cell that a spreadsheet would run as a formula is shown as text instead. A number below zero is none, nor is a licence code, which must stay
// as it is for joining and importing it again.
function guard(cell: string): string {
  return /^[=+@\t\r-]/.test(cell) && !/^-[\d.]+$|^@[\p{L}\p{N}._-]+$/u.test(cell) ? `'${cell}` : cell;
}

/** A field's fields are columns of their own. */
export function flatten(value: object, prefix = ""): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [key, item] of Object.entries(value)) {
    const name = prefix === "" ? key : `${prefix}.${key}`;
    if (item === null || item === undefined) out[name] = "";
    else if (Array.isArray(item))
      out[name] = item.map((i) => (typeof i === "object" ? JSON.stringify(i) : String(i))).join("|");
    else if (typeof item === "object") Object.assign(out, flatten(item as object, name));
    else out[name] = String(item);
  }
  return out;
}
