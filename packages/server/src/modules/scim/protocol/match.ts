/** Purpose: whether a resource fits a filter (RFC 7644 §3.4.2.2), and by what to sort it. Pure. */
import { leafOf, type Comparison, type Filter, type Literal, type Place } from "./filter.ts";
import type { Attribute, Resource, Target } from "./schema.ts";

export function matches(filter: Filter, subject: Resource): boolean {
  if ("terms" in filter)
    return filter.op === "and"
      ? filter.terms.every((term) => matches(term, subject))
      : filter.terms.some((term) => matches(term, subject));
  if (filter.op === "not") return !matches(filter.term, subject);
  const values = valuesAt(subject, filter.place);
  if (filter.op === "pr") return values.some(isPresent);
  if (filter.op === "has") return values.some((value) => isObject(value) && matches(filter.term, value));
  return compares(filter.op, leafOf(filter.place), leavesOf(values), filter.value);
}

/** The value to sort by: of several, the primary or first (§3.4.2.3). Texts without regard to case where the schema says so. */
export function sortKey(subject: Resource, target: Target): string {
  const found = target.attribute === undefined ? undefined : container(subject, target)?.[target.attribute.name];
  const one = Array.isArray(found) ? (found.find((v) => isObject(v) && v["primary"] === true) ?? found[0]) : found;
  const sub = target.sub ?? (target.attribute && leafOf({ ...target }));
  const value = isObject(one) && sub !== undefined ? one[sub.name] : one;
  const text = typeof value === "string" ? value : typeof value === "boolean" ? String(value) : "";
  return sub?.caseExact === true ? text : text.toLowerCase();
}

export function isObject(value: unknown): value is Resource {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function container(subject: Resource, { extension }: Target): Resource | undefined {
  const found = extension === undefined ? subject : subject[extension.id];
  return isObject(found) ? found : undefined;
}

/** What stands at a place, several values as several. */
function valuesAt(subject: Resource, place: Place): unknown[] {
  if ("element" in place) return listed(subject[place.element.name]);
  const { attribute, sub } = place;
  if (attribute === undefined) return [];
  const values = listed(container(subject, place)?.[attribute.name]);
  return sub === undefined ? values : values.flatMap((value) => (isObject(value) ? listed(value[sub.name]) : []));
}

/** Of complex values their `value`. */
function leavesOf(values: readonly unknown[]): unknown[] {
  return values.flatMap((value) => (isObject(value) ? listed(value["value"]) : [value]));
}

function listed(value: unknown): unknown[] {
  return value === undefined || value === null ? [] : Array.isArray(value) ? (value as unknown[]) : [value];
}

function isPresent(value: unknown): boolean {
  return value !== "" && !(isObject(value) && Object.keys(value).length === 0);
}

function compares(
  op: Comparison,
  attribute: Attribute | undefined,
  found: readonly unknown[],
  wanted: Literal,
): boolean {
  if (op === "ne") return !compares("eq", attribute, found, wanted);
  if (wanted === null) return op === "eq" && !found.some(isPresent);
  return found.some((value) => comparesOne(op, attribute, value, wanted));
}

function comparesOne(
  op: Exclude<Comparison, "ne">,
  attribute: Attribute | undefined,
  value: unknown,
  wanted: Literal,
): boolean {
  if (typeof value === "boolean")
    // Entra writes booleans as texts.
    return op === "eq" && value === (typeof wanted === "string" ? wanted.toLowerCase() === "true" : wanted);
  if (typeof value !== "string") return false;
  if (attribute?.type === "dateTime") return ordered(op, Date.parse(value) - Date.parse(String(wanted)));
  const fold = (text: string): string => (attribute?.caseExact === true ? text : text.toLowerCase());
  const [a, b] = [fold(value), fold(String(wanted))];
  if (op === "co") return a.includes(b);
  if (op === "sw") return a.startsWith(b);
  if (op === "ew") return a.endsWith(b);
  return ordered(op, a < b ? -1 : a > b ? 1 : 0);
}

function ordered(op: Comparison, difference: number): boolean {
  if (op === "eq") return difference === 0;
  if (op === "gt") return difference > 0;
  if (op === "ge") return difference >= 0;
  if (op === "lt") return difference < 0;
  return op === "le" && difference <= 0;
}
