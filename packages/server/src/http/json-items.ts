/**
 * Purpose: the documents of a long body one by one, so that nobody waits while all of it is parsed: a JSON array's items, or values that stand one after
 * the other - a single one, or one on each line (application/x-ndjson).
 * Invariants: what JSON.parse refuses is refused, and each fault names its line; nothing between or behind the documents is passed over.
 */
import { serverErrors } from "../errors.ts";

const [quote, backslash, comma, newline] = [0x22, 0x5c, 0x2c, 0x0a];
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];
const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === newline || byte === 0x0d || byte === 0x09;

/** @throws input-invalid */
export function* jsonItems(body: Buffer): Generator<unknown> {
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  let line = 1;
  const refuse = (reason: string): never => {
    throw serverErrors.make("input-invalid", { faults: `line ${line}: ${reason}` });
  };
  const skipSpace = (): void => {
    for (; at < body.length && isSpace(body[at]); at++) if (body[at] === newline) line++;
  };
  const item = (): unknown => {
    const from = at;
    let lines = 0;
    let depth = 0;
    for (let inside = false; at < body.length; at++) {
      const byte = body[at] as number;
      if (byte === newline) lines++;
      if (inside) {
        if (byte === backslash) at++;
        else if (byte === quote) inside = false;
      } else if (byte === quote) inside = true;
      else if (byte === openObject || byte === openArray) depth++;
      else if ((byte === closeObject || byte === closeArray) && depth > 0) {
        if (--depth === 0) {
          at++;
          break;
        }
      } else if (depth === 0 && (byte === comma || byte === closeArray || byte === closeObject || isSpace(byte))) {
        if (byte === newline) lines--;
        break;
      }
    }
    try {
      return JSON.parse(body.toString("utf8", from, at));
    } catch {
      return refuse("is not JSON");
    } finally {
      line += lines;
    }
  };

  skipSpace();
  if (body[at] !== openArray) {
    if (at === body.length) refuse("the body is empty");
    for (; at < body.length; skipSpace()) yield item();
    return;
  }
  at++;
  skipSpace();
  for (let first = true; body[at] !== closeArray; first = false) {
    if (!first) {
      if (body[at] !== comma) refuse("is not JSON");
      at++;
      skipSpace();
    }
    if (at >= body.length) refuse("the list does not end");
    yield item();
    skipSpace();
  }
  at++;
  skipSpace();
  if (at < body.length) refuse("something stands behind the list");
}
