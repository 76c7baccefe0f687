/**
 * Purpose: answers with long lists in them are written in slices: 10,000 items made into JSON in one go hold up everybody else for longer than anyone should
 * wait. Every route's answers go through here; none has to do anything for it.
 * Invariants: what is written is what the route's own schema makes of the whole answer - a slice is written as an answer with a shorter list, and only what
 * differs from one with an empty list is taken from it. The answer must not change while it is being written.
 */
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply } from "fastify";
import { breathe, slicesOf } from "../slices.ts";

/** A shorter list is written in one go. */
const long = 200;
const mostAtOnce = 1000;
const deepest = 4;

interface LongList {
  readonly path: readonly (string | number)[];
  readonly list: readonly unknown[];
}

/** The body of an answer, sent piece by piece: the socket, too, takes long for megabytes in one go. Sets its length. */
export function inPieces(reply: FastifyReply, pieces: readonly Buffer[]): Readable {
  void reply.header(
    "content-length",
    pieces.reduce((sum, piece) => sum + piece.length, 0),
  );
  return Readable.from(breathing(pieces));
}

async function* breathing(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) {
    yield piece;
    await breathe();
  }
}

export function installSlicedAnswers(app: FastifyInstance): void {
  const written = new WeakMap<FastifyReply, readonly Buffer[]>();
  app.addHook("preSerialization", (_request, reply, payload: unknown, done) => {
    const lists = longLists(payload);
    if (lists.length === 0) return done(null, payload);
    writeInSlices(reply, payload, lists).then(
      (pieces) => {
        written.set(reply, pieces);
        void reply.serializer(() => "");
        done(null, payload);
      },
      (error: unknown) => done(error as Error),
    );
  });
  app.addHook("onSend", (_request, reply, payload: unknown, done) => {
    const pieces = written.get(reply);
    done(null, pieces === undefined ? payload : inPieces(reply, pieces));
  });
}

/** Lists lie near the top of an answer, or in an item of a short list. */
function longLists(value: unknown, path: LongList["path"] = []): readonly LongList[] {
  if (typeof value !== "object" || value === null || path.length > deepest) return [];
  if (Array.isArray(value) && value.length > long) return [{ path, list: value }];
  const found: LongList[] = [];
  for (const [key, part] of Object.entries(value))
    if (typeof part === "object") found.push(...longLists(part, [...path, Array.isArray(value) ? Number(key) : key]));
  return found;
}

/** The same with something else in one place. */
function withAt(value: unknown, [key, ...rest]: LongList["path"], part: unknown): unknown {
  if (key === undefined) return part;
  if (Array.isArray(value)) return value.map((one: unknown, i) => (i === key ? withAt(one, rest, part) : one));
  const fields = value as Readonly<Record<string, unknown>>;
  return { ...fields, [key]: withAt(fields[key], rest, part) };
}

async function writeInSlices(
  reply: FastifyReply,
  answer: unknown,
  lists: readonly LongList[],
): Promise<readonly Buffer[]> {
  const empty = lists.reduce((value, { path }) => withAt(value, path, []), answer);
  const frame = String(reply.serialize(empty));
  const written: { readonly at: number; readonly slices: readonly Buffer[] }[] = [];
  for (const { path, list } of lists) {
    const slices: Buffer[] = [];
    let at = -1;
    for await (const slice of slicesOf(list, mostAtOnce)) {
      const text = String(reply.serialize(withAt(empty, path, slice)));
      // A schema may leave the list out.
      if (text === frame) break;
      if (at === -1) at = differsAt(frame, text);
      const separator = slices.length === 0 ? "" : ",";
      slices.push(Buffer.from(separator + text.slice(at, text.length - (frame.length - at))));
    }
    if (at !== -1) written.push({ at, slices });
  }
  const pieces: Buffer[] = [];
  let end = 0;
  for (const { at, slices } of written.sort((a, b) => a.at - b.at)) {
    pieces.push(Buffer.from(frame.slice(end, at)), ...slices);
    end = at;
  }
  return [...pieces, Buffer.from(frame.slice(end))];
}

function differsAt(a: string, b: string): number {
  let at = 0;
  while (a[at] === b[at]) at++;
  return at;
}
