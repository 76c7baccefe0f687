/**
 * Purpose: what a client sends as a value becomes a value of the schema: known names in their own spelling, texts, booleans, lists. Pure.
 * What is read-only or unknown is left out (RFC 7644 §3.3); null, "" and [] mean "no value" (RFC 7643 §2.5); booleans may come as texts, one value
 * where several could stand, a list of one where there is only one, and a plain text where an object with `value` belongs, because identity providers
 * send them so.
 * Invariants: the result is new and plain, of bounded size; a name such as `__proto__` never reaches an object.
 */
import { scimErrors, valueInvalid } from "./errors.ts";
import { isObject } from "./match.ts";
import { subAttribute, type Attribute, type Resource } from "./schema.ts";

export const valueLimits = { text: 8192, values: 200, foreign: 32_768, foreignDepth: 8 } as const;

/** @returns undefined = no value. @throws scim-value-invalid */
export function readValue(attribute: Attribute, value: unknown, place: string): unknown {
  if (!attribute.multiValued) return readOne(attribute, value, place);
  const values = readList(attribute, value, place);
  return values.length === 0 ? undefined : values;
}

export function readList(attribute: Attribute, value: unknown, place: string): unknown[] {
  const listed = Array.isArray(value) ? (value as unknown[]) : [value];
  if (listed.length > valueLimits.values)
    throw scimErrors.make("scim-too-large", { place, limit: valueLimits.values, what: "values" });
  return onePrimary(
    listed
      .map((one, index) => readOne(attribute, one, Array.isArray(value) ? `${place}[${index}]` : place))
      .filter((one) => one !== undefined),
  );
}

/** One value, also of an attribute that may have several. */
export function readOne(attribute: Attribute, sent: unknown, place: string): unknown {
  const value = unlisted(attribute, sent);
  if (value === undefined || value === null || value === "") return undefined;
  if (attribute.type === "complex") return readObject(attribute, value, place);
  return attribute.type === "boolean" ? readBoolean(value, place) : readText(value, place);
}

/** Entra may write what there is only one of as `[{ "$ref": null, "value": … }]`. */
function unlisted(attribute: Attribute, value: unknown): unknown {
  if (!Array.isArray(value) || value.length !== 1) return value;
  const [one] = value as readonly unknown[];
  return attribute.type !== "complex" && isObject(one) ? one["value"] : one;
}

function readObject(attribute: Attribute, value: unknown, place: string): Resource | undefined {
  if (typeof value === "string" || typeof value === "number") {
    const sub = subAttribute(attribute, "value");
    if (sub === undefined) throw valueInvalid(place, "must be an object");
    return { [sub.name]: readText(value, place) };
  }
  if (!isObject(value)) throw valueInvalid(place, "must be an object");
  const read: Resource = {};
  for (const [name, one] of Object.entries(value)) {
    const sub = subAttribute(attribute, name);
    if (sub === undefined || sub.mutability === "readOnly") continue;
    const found = readOne(sub, one, `${place}.${sub.name}`);
    if (found !== undefined) read[sub.name] = found;
  }
  return Object.keys(read).length === 0 ? undefined : read;
}

function readBoolean(value: unknown, place: string): boolean {
  if (typeof value === "boolean") return value;
  const word = typeof value === "string" ? value.trim().toLowerCase() : "";
  if (word === "true" || word === "false") return word === "true";
  throw valueInvalid(place, "must be true or false");
}

function readText(value: unknown, place: string): string {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean")
    throw valueInvalid(place, "must be a text");
  const text = String(value);
  if (text.length > valueLimits.text) throw valueInvalid(place, `is longer than ${valueLimits.text} characters`);
  return text;
}

/** RFC 7643 §2.4: `primary` is true at most once; the later one counts. */
export function onePrimary(values: unknown[], preferred?: unknown): unknown[] {
  const primary = values.filter((value) => isObject(value) && value["primary"] === true);
  const kept = primary.includes(preferred) ? preferred : primary[primary.length - 1];
  for (const value of primary) if (value !== kept) (value as Resource)["primary"] = false;
  return values;
}

/** An extension that is not ours is kept word for word, within limits. */
export function readForeign(value: unknown, place: string): unknown {
  const check = (one: unknown, depth: number): void => {
    if (depth > valueLimits.foreignDepth)
      throw valueInvalid(place, `is nested deeper than ${valueLimits.foreignDepth}`);
    if (typeof one !== "object" || one === null) return;
    for (const [name, inner] of Object.entries(one)) {
      if (name === "__proto__") throw valueInvalid(place, "has a name that cannot be kept");
      check(inner, depth + 1);
    }
  };
  if (value === undefined || value === null || value === "") return undefined;
  check(value, 0);
  const text = JSON.stringify(value);
  if (text.length > valueLimits.foreign) throw valueInvalid(place, `is larger than ${valueLimits.foreign} characters`);
  return JSON.parse(text) as unknown;
}
