/**
 * Purpose: lists (contract.md "Administration"): `{ items, nextCursor? }`, `?limit&cursor&sort` and `Accept: text/csv`.
 * The cursor is the last item's sort key, so a page costs the same wherever it lies.
 */
import { Type, type Static, type TSchema } from "@sinclair/typebox";
import { stringify } from "csv-stringify/sync";
import type { FastifyReply, FastifyRequest } from "fastify";
import { eachPolitely, slicesOf } from "../slices.ts";

export const ListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 100 })),
  cursor: Type.Optional(Type.String({ maxLength: 512 })),
  /** Field name, `-` before it for descending. */
  sort: Type.Optional(Type.String({ maxLength: 64 })),
});
export type ListQuery = Static<typeof ListQuery>;

// The element type is inferred from the schema given.
export const listOf = <T extends TSchema>(item: T) =>
  Type.Object({ items: Type.Array(item), nextCursor: Type.Optional(Type.String()) }, { additionalProperties: true });

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

/** Sends a list as JSON, or as CSV (columns = flattened fields of all items) where the caller asks for it. */
export async function sendList(
  request: FastifyRequest,
  reply: FastifyReply,
  list: { readonly items: readonly object[]; readonly nextCursor?: string },
): Promise<FastifyReply> {
  if (!wantsCsv(request)) return reply.send(list);
  if (list.nextCursor !== undefined) void reply.header("daicho-next-cursor", list.nextCursor);
  const rows: Record<string, string>[] = [];
  const columns = new Set<string>();
  await eachPolitely(list.items, (item) => {
    const row = flatten(item);
    for (const name of Object.keys(row)) columns.add(name);
    rows.push(row);
  });
  const parts = [csvLines([...columns], [], true)];
  for await (const slice of slicesOf(rows, 1000)) parts.push(csvLines([...columns], slice));
  return reply.type("text/csv; charset=utf-8").send(parts.join(""));
}

/** The same for a page as the stores answer it. */
export function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  { rows, nextCursor }: { readonly rows: readonly object[]; readonly nextCursor?: string },
): Promise<FastifyReply> {
  return sendList(request, reply, { items: rows, ...(nextCursor !== undefined && { nextCursor }) });
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
