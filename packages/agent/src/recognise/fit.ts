/**
 * Purpose: makes a value satisfy its schema by leaving out what does not, so that one absurd reading of a machine costs that reading
 * and never the inventory. A compiled validator would say the same, and cost a scan more than the rest of it.
 * Invariants: what comes out is valid (fit.test.ts asks the validator); what goes in is never changed; each thing left out is
 * told, with its place and never its value. Knows the schema words that the inventory uses and throws at any other.
 */
import { Hardware, RecognizedCode } from "@daicho/protocol";
import { wellFormed } from "./titles.ts";

interface Schema {
  readonly type?: string | undefined;
  readonly properties?: Readonly<Record<string, Schema>> | undefined;
  readonly patternProperties?: Readonly<Record<string, Schema>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly additionalProperties?: unknown;
  readonly items?: Schema | undefined;
  readonly minLength?: number | undefined;
  readonly maxLength?: number | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly maxItems?: number | undefined;
}

/** Says where something was left out and why. */
export type OnMisfit = (path: string, reason: string) => void;

export function fitHardware(hardware: Hardware, onMisfit: OnMisfit): Hardware {
  return (fit(Hardware, hardware, "/hardware", onMisfit) as Hardware | undefined) ?? {};
}

export function fitCodes(codes: readonly RecognizedCode[], max: number, onMisfit: OnMisfit): RecognizedCode[] {
  return fit({ type: "array", items: RecognizedCode, maxItems: max }, codes, "/codes", onMisfit) as RecognizedCode[];
}

/** `undefined`: nothing of the value satisfies the schema. */
export function fit(schema: Schema, value: unknown, path: string, onMisfit: OnMisfit): unknown {
  const refuse = (reason: string): undefined => void onMisfit(path, reason);
  switch (schema.type) {
    case "string":
      return typeof value === "string" && isText(schema, value) ? value : refuse("is no text of its length");
    case "integer":
    case "number":
      return isNumber(schema, value) ? value : refuse("is no number of its range");
    case "boolean":
      return typeof value === "boolean" ? value : refuse("is neither true nor false");
    case "array":
      return Array.isArray(value) ? fitItems(schema, value, path, onMisfit) : refuse("is no list");
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value)
        ? fitFields(schema, value as Readonly<Record<string, unknown>>, path, onMisfit)
        : refuse("is no object");
    case undefined:
    default:
      throw new TypeError(`${path}: the schema type ${String(schema.type)} is not known here`);
  }
}

function isText({ minLength = 0, maxLength = Infinity }: Schema, value: string): boolean {
  return value.length >= minLength && value.length <= maxLength && wellFormed(value) === value;
}

function isNumber({ type, minimum = -Infinity, maximum = Infinity }: Schema, value: unknown): boolean {
  if (typeof value !== "number" || !Number.isFinite(value) || (type === "integer" && !Number.isInteger(value))) {
    return false;
  }
  return value >= minimum && value <= maximum;
}

function fitItems(schema: Schema, list: readonly unknown[], path: string, onMisfit: OnMisfit): unknown[] {
  const { items, maxItems = Infinity } = schema;
  if (items === undefined) throw new TypeError(`${path}: a list without items`);
  const fitting = list
    .map((item, at) => fit(items, item, `${path}/${at}`, onMisfit))
    .filter((item) => item !== undefined);
  if (fitting.length > maxItems) onMisfit(path, `has more than ${maxItems} entries`);
  return fitting.slice(0, maxItems);
}

function fitFields(
  schema: Schema,
  fields: Readonly<Record<string, unknown>>,
  path: string,
  onMisfit: OnMisfit,
): Record<string, unknown> | undefined {
  const { properties = {}, patternProperties = {}, required = [] } = schema;
  const open = schema.additionalProperties !== false;
  const patterns = Object.entries(patternProperties).map(
    ([pattern, each]) => [new RegExp(pattern, "u"), each] as const,
  );
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const of = Object.hasOwn(properties, key) ? properties[key] : patterns.find(([pattern]) => pattern.test(key))?.[1];
    if (of === undefined && !open) onMisfit(path, "has a field that is not known");
    const fitting = of === undefined ? (open ? value : undefined) : fit(of, value, `${path}/${key}`, onMisfit);
    // Defined, not assigned: a field may be called __proto__.
    if (fitting !== undefined)
      Object.defineProperty(kept, key, { value: fitting, enumerable: true, configurable: true, writable: true });
  }
  const missing = required.find((key) => !Object.hasOwn(kept, key));
  if (missing === undefined) return kept;
  onMisfit(path, `lacks its ${missing}`);
  return undefined;
}
