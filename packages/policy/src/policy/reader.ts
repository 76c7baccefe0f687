/**
 * Purpose: reading the values of a policy's YAML with their places: maps, lists, texts, numbers - each with the faults an author can make.
 * Invariants: pure; never throws; a value with a fault is undefined and the fault is reported, so reading goes on behind it. Text fields take what
 * is written (`version: 7.10` stays "7.10").
 */
import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from "yaml";
import type { FaultCode, FaultDetails, Place } from "../faults.ts";
import { offsetsOf, type Lines } from "./places.ts";

const entryLimit = 50_000;

/** A text value with its way back to the file. */
export interface Text {
  readonly value: string;
  readonly place: Place;
  placeAt(offset: number): Place;
}

export interface Reader {
  readonly source: string;
  readonly lines: Lines;
  fault(place: Place, code: FaultCode, details?: FaultDetails): void;
}

export type Entries = ReadonlyMap<string, Pair<Node, Node | null>>;

export function readMap(reader: Reader, map: YAMLMap, what: string, known: readonly string[]): Entries {
  const entries = new Map<string, Pair<Node, Node | null>>();
  for (const item of map.items) {
    const pair = item as Pair<Node, Node | null>;
    const place = placeOf(reader, pair.key);
    const key = isScalar(pair.key) ? String(pair.key.value) : undefined;
    if (key === undefined)
      reader.fault(place, isAlias(pair.key) ? "yaml-alias" : "wrong-type", {
        key: `a key of ${what}`,
        expected: "text",
      });
    else if (!known.includes(key)) reader.fault(place, "unknown-key", { key, known: known.join(", ") });
    else if (entries.has(key)) reader.fault(place, "duplicate-key", { key });
    else entries.set(key, pair);
  }
  return entries;
}

export function readList<T>(
  reader: Reader,
  entries: Entries,
  key: string,
  read: (node: YAMLMap) => T | undefined,
): readonly T[] {
  const pair = entries.get(key);
  if (pair === undefined || isEmpty(pair.value)) return [];
  const list = pair.value;
  if (!isSeq(list)) {
    reader.fault(placeOf(reader, list), isAlias(list) ? "yaml-alias" : "wrong-type", { key, expected: "a list" });
    return [];
  }
  const result: T[] = [];
  for (const [i, item] of list.items.entries()) {
    if (i >= entryLimit) {
      reader.fault(placeOf(reader, item as Node), "policy-too-large", {
        limit: `${entryLimit} entries in ${key}; it has more`,
      });
      break;
    }
    if (isMap(item)) {
      const value = read(item);
      if (value !== undefined) result.push(value);
    } else {
      const place = placeOf(reader, isEmpty(item as Node) ? list : (item as Node));
      reader.fault(place, isAlias(item) ? "yaml-alias" : "wrong-type", {
        key: `an entry of ${key}`,
        expected: "a map",
      });
    }
  }
  return result;
}

export function readBoolean(reader: Reader, entries: Entries, key: string): boolean | undefined {
  const pair = entries.get(key);
  if (pair === undefined) return undefined;
  const value = isScalar(pair.value) ? pair.value.value : undefined;
  if (typeof value === "boolean") return value;
  reader.fault(placeOf(reader, pair.value ?? pair.key), "wrong-type", { key, expected: "true or false" });
  return undefined;
}

export function readText(
  reader: Reader,
  entries: Entries,
  key: string,
  options: { readonly limit: number; /** The map that must have it. */ readonly required?: YAMLMap },
): Text | undefined {
  const pair = entries.get(key);
  if (pair === undefined) {
    if (options.required !== undefined) reader.fault(placeOf(reader, options.required), "missing-key", { key });
    return undefined;
  }
  const node = pair.value;
  if (isEmpty(node)) {
    reader.fault(placeOf(reader, pair.key), "empty-value", { key });
    return undefined;
  }
  if (!isScalar(node)) {
    reader.fault(placeOf(reader, node), isAlias(node) ? "yaml-alias" : "wrong-type", { key, expected: "text" });
    return undefined;
  }
  // Numbers and booleans are taken as they are written: version 7.10 is not 7.1.
  const value = typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
  const toFile = offsetsOf(reader.source, node);
  const placeAt = (offset: number): Place => reader.lines.placeOf(toFile(offset));
  const place = placeAt(value.length - value.trimStart().length);
  if (value.trim() === "") {
    reader.fault(placeOf(reader, node), "empty-value", { key });
    return undefined;
  }
  if (value.length > options.limit) {
    reader.fault(place, "value-too-long", { key, limit: options.limit });
    return undefined;
  }
  return { value, place, placeAt };
}

export function isEmpty(node: Node | null | undefined): node is null | undefined {
  return node === null || node === undefined || (isScalar(node) && node.value === null);
}

export function placeOf(reader: Reader, node: Node): Place {
  return reader.lines.placeOf(node.range?.[0] ?? 0);
}

/** A whole number from 1. */
export function readCount(reader: Reader, entries: Entries, key: string, limit: number): number | undefined {
  const pair = entries.get(key);
  if (pair === undefined) return undefined;
  const value = isScalar(pair.value) ? pair.value.value : undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= limit) return value;
  const expected = `a whole number from 1 to ${limit}`;
  reader.fault(placeOf(reader, pair.value ?? pair.key), "wrong-type", { key, expected });
  return undefined;
}

/** One of some words. */
export function readWord<T extends string>(
  reader: Reader,
  entries: Entries,
  key: string,
  words: readonly T[],
  required?: YAMLMap,
): T | undefined {
  const text = readText(reader, entries, key, { limit: 64, ...(required !== undefined && { required }) });
  if (text === undefined) return undefined;
  const word = words.find((w) => w === text.value);
  if (word === undefined)
    reader.fault(text.place, "wrong-type", { key, expected: words.join(", ").replace(/, ([^,]*)$/, " or $1") });
  return word;
}

/** A map inside a map. */
export function readNested(
  reader: Reader,
  entries: Entries,
  key: string,
  known: readonly string[],
): Entries | undefined {
  const pair = entries.get(key);
  if (pair === undefined) return undefined;
  const node = pair.value;
  if (isMap(node)) return readMap(reader, node, key, known);
  const place = placeOf(reader, isEmpty(node) ? pair.key : node);
  reader.fault(place, isAlias(node) ? "yaml-alias" : "wrong-type", { key, expected: "a map" });
  return undefined;
}
