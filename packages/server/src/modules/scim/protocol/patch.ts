/**
 * Purpose: PATCH (RFC 7644 §3.5.2) and the reading of whole resources, which is a patch of an empty one. Pure: the resource given is not changed.
 * What identity providers send beyond the RFC: operations in capitals, paths as keys of a value without path, a text for an object with `value`, a
 * `remove` with the values to be removed, and a `replace` or `add` of `emails[type eq "work"].value` where there is no work address yet (it is made).
 * `members` of a group are not handled here: a department may have very many (memberChanges).
 */
import { isDaichoError } from "@daicho/kernel";
import { eachPolitely } from "../../../slices.ts";
import { scimErrors, valueInvalid } from "./errors.ts";
import { parsePath, type Filter, type Path } from "./filter.ts";
import { isObject, matches } from "./match.ts";
import { foreignExtension, resolve, subAttribute, type Attribute, type Resource, type ResourceType } from "./schema.ts";
import { onePrimary, readForeign, readList, readOne, readValue, valueLimits } from "./values.ts";

/** Changes of members are cheap and come by the hundred; others are not and do not. */
export const patchLimits = { operations: 1000, changes: 200, resource: 65_536 } as const;

export interface Operation {
  readonly op: "add" | "remove" | "replace";
  readonly path: string | undefined;
  readonly value: unknown;
  /** For messages: `Operations[2]`. */
  readonly place: string;
}

/** The operations of a PATCH body. @throws scim-syntax-invalid, scim-value-invalid, scim-too-large */
export function readOperations(body: unknown): readonly Operation[] {
  if (!isObject(body)) throw syntaxInvalid("an object with Operations is expected");
  const schemas = member(body, "schemas");
  if (schemas !== undefined && !(Array.isArray(schemas) && schemas.some(isPatchSchema)))
    throw syntaxInvalid("schemas must name urn:ietf:params:scim:api:messages:2.0:PatchOp");
  const operations = member(body, "operations");
  if (!Array.isArray(operations) || operations.length === 0)
    throw syntaxInvalid("Operations must be a list of operations");
  if (operations.length > patchLimits.operations)
    throw scimErrors.make("scim-too-large", { place: "Operations", limit: patchLimits.operations, what: "operations" });
  return operations.map((one: unknown, index): Operation => {
    const place = `Operations[${index}]`;
    if (!isObject(one)) throw syntaxInvalid(`${place} must be an object`);
    const word = member(one, "op");
    const op = typeof word === "string" ? word.toLowerCase() : "";
    if (op !== "add" && op !== "remove" && op !== "replace")
      throw syntaxInvalid(`${place}.op must be add, remove or replace`);
    const path = member(one, "path") ?? undefined;
    if (path !== undefined && typeof path !== "string") throw syntaxInvalid(`${place}.path must be a text`);
    const value = member(one, "value");
    if (op !== "remove" && value === undefined) throw valueInvalid(`${place}.value`, "is missing");
    if (op === "remove" && (path === undefined || path.trim() === ""))
      throw scimErrors.make("scim-no-target", { place, reason: "a remove needs a path" });
    return { op, path: path?.trim() === "" ? undefined : path, value, place };
  });
}

/** @throws scim-path-invalid, scim-no-target, scim-value-invalid, scim-read-only, scim-too-large */
export function applyPatch(type: ResourceType, resource: Resource, operations: readonly Operation[]): Resource {
  if (operations.length > patchLimits.changes)
    throw scimErrors.make("scim-too-large", { place: "Operations", limit: patchLimits.changes, what: "operations" });
  const patched = structuredClone(resource);
  for (const operation of operations) {
    if (operation.path === undefined) mergeAll(type, patched, operation);
    else applyAt(patched, parsePath(type, operation.path, `${operation.place}.path`), operation);
  }
  return checked(type, patched);
}

/** What a POST or PUT says. @throws scim-syntax-invalid, scim-value-invalid, scim-too-large */
export function readResource(type: ResourceType, body: unknown): Resource {
  if (!isObject(body)) throw syntaxInvalid(`a ${type.name} as a JSON object is expected`);
  const schemas = member(body, "schemas");
  if (schemas !== undefined && !Array.isArray(schemas)) throw syntaxInvalid("schemas must be a list");
  const resource: Resource = {};
  mergeAll(type, resource, { op: "replace", path: undefined, value: body, place: "" });
  return checked(type, resource);
}

/** One operation on `members`: whose membership begins, ends, or - replace - is all there is. */
export type MemberChange =
  | { readonly op: "add" | "remove" | "replace"; readonly members: readonly Resource[]; readonly place: string }
  /** Those that fit; undefined: all. */
  | { readonly op: "remove"; readonly fitting: Filter | undefined; readonly place: string };

/** Parts the operations on `members` from the others; with breaths, since there may be thousands. */
export async function memberChanges(
  type: ResourceType,
  members: Attribute,
  operations: readonly Operation[],
  limit: number,
): Promise<{ readonly changes: readonly MemberChange[]; readonly others: readonly Operation[] }> {
  const changes: MemberChange[] = [];
  const others: Operation[] = [];
  let count = 0;
  const listed = async (value: unknown, place: string): Promise<Resource[]> => {
    const values = Array.isArray(value) ? (value as unknown[]) : [value];
    count += values.length;
    if (count > limit) throw scimErrors.make("scim-too-large", { place, limit, what: "members" });
    const found: Resource[] = [];
    await eachPolitely(values.entries(), ([index, one]) => {
      const read = readOne(members, one, `${place}[${index}]`);
      if (!isObject(read)) return;
      if (typeof read["value"] !== "string") throw valueInvalid(`${place}[${index}]`, "names no id in `value`");
      found.push(read);
    });
    return found;
  };
  const none = (value: unknown): boolean => value === undefined || value === null || value === "";
  for (const operation of operations) {
    const { op, place, value } = operation;
    if (operation.path === undefined) {
      const rest: Resource = {};
      for (const [name, one] of Object.entries(isObject(value) ? value : {}))
        if (resolve(type, name)?.attribute !== members || resolve(type, name)?.sub !== undefined)
          Object.defineProperty(rest, name, { value: one, enumerable: true });
        else if (op !== "remove" && (op === "replace" || !none(one)))
          changes.push({ op, members: none(one) ? [] : await listed(one, keyPlace(place, "members")), place });
      if (!isObject(value) || Object.keys(rest).length > 0 || place === "")
        others.push({ ...operation, value: isObject(value) ? rest : value });
      continue;
    }
    const path = parsePath(type, operation.path, `${place}.path`);
    if (path.foreign !== undefined || path.attribute !== members) {
      others.push(operation);
      continue;
    }
    if (op !== "remove") {
      if (path.filter !== undefined || path.sub !== undefined)
        throw scimErrors.make("scim-read-only", { place: `${place}.path`, attribute: "a member" });
      changes.push({ op, members: none(value) ? [] : await listed(value, `${place}.value`), place });
    } else if (path.filter !== undefined || none(value)) changes.push({ op, fitting: path.filter, place });
    else changes.push({ op, members: await listed(value, `${place}.value`), place });
  }
  return { changes, others };
}

function mergeAll(type: ResourceType, resource: Resource, operation: Operation): void {
  const { value, op, place } = operation;
  if (!isObject(value)) throw valueInvalid(`${place}.value`, "must be an object, since there is no path");
  for (const [name, one] of Object.entries(value)) {
    const path = pathOfKey(type, name);
    if (path === undefined) continue;
    applyAt(resource, path, { op, path: name, value: one, place: keyPlace(place, name) }, true);
  }
}

/** A whole resource has no place before its keys. */
function keyPlace(place: string, name: string): string {
  return place === "" ? name : `${place}.value.${name}`;
}

/** A key of a value without path: an attribute, or a path. One that says nothing to us is left out, as in a whole resource. */
function pathOfKey(type: ResourceType, name: string): Path | undefined {
  const target = resolve(type, name);
  if (target !== undefined)
    return target.attribute?.mutability === "readOnly" ? undefined : { ...target, filter: undefined };
  const foreign = foreignExtension(type, name);
  // Without path a foreign URN is the extension as a whole.
  if (foreign !== undefined) return { foreign: { urn: name, attribute: "" } };
  if (!name.includes("[")) return undefined;
  try {
    return parsePath(type, name, name);
  } catch (error) {
    if (isDaichoError(error, "scim-path-invalid")) return undefined;
    throw error;
  }
}

/** `whole`: part of a resource, in which what is read-only is left out instead of refused. */
function applyAt(resource: Resource, path: Path, operation: Operation, whole = false): void {
  if (path.foreign !== undefined) return applyForeign(resource, path.foreign, operation);
  const { extension, attribute, filter, sub } = path;
  if (attribute === undefined) {
    if (extension === undefined) return;
    if (operation.op === "remove") return void delete resource[extension.id];
    if (!isObject(operation.value)) {
      if (operation.value === null || operation.value === "") return void delete resource[extension.id];
      throw valueInvalid(operation.place, "must be an object");
    }
    for (const [name, value] of Object.entries(operation.value)) {
      const found = extension.attributes.find((a) => a.name.toLowerCase() === name.toLowerCase());
      if (found === undefined) continue;
      const place = `${operation.place}.${found.name}`;
      applyAt(
        resource,
        { extension, attribute: found, filter: undefined, sub: undefined },
        { ...operation, value, place },
        true,
      );
    }
    return;
  }
  if (attribute.name === "schemas") return;
  if (attribute.mutability === "readOnly" || sub?.mutability === "readOnly") {
    if (whole) return;
    throw scimErrors.make("scim-read-only", { place: operation.place, attribute: (sub ?? attribute).name });
  }
  if (operation.op === "remove" && attribute.required)
    throw scimErrors.make("scim-read-only", { place: operation.place, attribute: attribute.name });
  const holder = extension === undefined ? resource : holderOf(resource, extension.id);
  if (attribute.multiValued) applyToSeveral(holder, attribute, filter, sub, operation);
  else if (sub !== undefined) applyToPart(holder, attribute, sub, operation);
  else applyToOne(holder, attribute, operation);
  if (extension !== undefined && Object.keys(holder).length === 0) delete resource[extension.id];
}

function applyToOne(holder: Resource, attribute: Attribute, { op, value, place }: Operation): void {
  const read = op === "remove" ? undefined : readValue(attribute, value, place);
  const before = holder[attribute.name];
  // Parts of a complex value that are not named stay (§3.5.2.3).
  if (isObject(read) && isObject(before) && isObject(value))
    setOrDelete(holder, attribute.name, merged(attribute, before, value, read));
  else setOrDelete(holder, attribute.name, read);
}

function applyToPart(holder: Resource, attribute: Attribute, sub: Attribute, { op, value, place }: Operation): void {
  const before = holder[attribute.name];
  const object: Resource = isObject(before) ? before : {};
  setOrDelete(object, sub.name, op === "remove" ? undefined : readValue(sub, value, place));
  dropFormer(object, { [sub.name]: true });
  setOrDelete(holder, attribute.name, Object.keys(object).length === 0 ? undefined : object);
}

function applyToSeveral(
  holder: Resource,
  attribute: Attribute,
  filter: Filter | undefined,
  sub: Attribute | undefined,
  { op, value, place }: Operation,
): void {
  const found = holder[attribute.name];
  let values = Array.isArray(found) ? (found as unknown[]) : [];
  const chosen = (one: unknown): boolean => isObject(one) && (filter === undefined || matches(filter, one));
  let preferred: unknown;

  if (filter === undefined && sub === undefined) {
    if (op === "remove") {
      const removed = value === undefined || value === null ? undefined : readList(attribute, value, place);
      values = removed === undefined ? [] : values.filter((one) => !removed.some((r) => covers(r, one)));
    } else {
      const read = readList(attribute, value, place);
      values = op === "replace" ? read : [...values, ...read.filter((r) => !values.some((one) => sameJson(one, r)))];
      preferred = read.find((one) => isObject(one) && one["primary"] === true);
    }
  } else if (op === "remove") {
    if (sub === undefined) values = values.filter((one) => !chosen(one));
    else for (const one of values) if (chosen(one)) delete (one as Resource)[sub.name];
  } else {
    let targets = values.filter(chosen) as Resource[];
    if (targets.length === 0) {
      const made = filter === undefined ? {} : elementFor(filter);
      if (made === undefined)
        throw scimErrors.make("scim-no-target", { place, reason: `no value of ${attribute.name} fits the path` });
      targets = [made];
      values = [...values, made];
    }
    for (const target of targets) {
      if (sub !== undefined) setOrDelete(target, sub.name, readOne(sub, value, place));
      else {
        const read = readOne(attribute, value, place);
        if (isObject(read)) Object.assign(target, read);
        else values = values.filter((one) => one !== target);
      }
      if (target["primary"] === true) preferred = target;
    }
  }
  // What only says what a value would be for is no value.
  const kept = onePrimary(values.filter(saysSomething), preferred);
  if (kept.length > valueLimits.values)
    throw scimErrors.make("scim-too-large", { place, limit: valueLimits.values, what: "values" });
  setOrDelete(holder, attribute.name, kept.length === 0 ? undefined : kept);
}

function applyForeign(
  resource: Resource,
  { urn, attribute }: { urn: string; attribute: string },
  operation: Operation,
): void {
  const value = operation.op === "remove" ? undefined : readForeign(operation.value, operation.place);
  if (attribute === "") return setOrDelete(resource, urn, isObject(value) ? value : undefined);
  if (attribute === "__proto__") throw valueInvalid(operation.place, "has a name that cannot be kept");
  const holder = holderOf(resource, urn);
  setOrDelete(holder, attribute, value);
  if (Object.keys(holder).length === 0) delete resource[urn];
}

/** `[type eq "work" and primary eq true]` → `{ type: "work", primary: true }`; undefined where the filter says something else as well. */
function elementFor(filter: Filter): Resource | undefined {
  if (filter.op === "and") {
    const parts = filter.terms.map(elementFor);
    return parts.every((part) => part !== undefined) ? (Object.assign({}, ...parts) as Resource) : undefined;
  }
  if (filter.op !== "eq" || !("element" in filter.place) || filter.value === null) return undefined;
  const { element } = filter.place;
  return element.type === "complex" ? undefined : { [element.name]: readOne(element, filter.value, element.name) };
}

function saysSomething(value: unknown): boolean {
  return !isObject(value) || Object.keys(value).some((name) => name !== "type" && name !== "primary");
}

function merged(attribute: Attribute, before: Resource, sent: Resource, read: Resource): Resource | undefined {
  const after: Resource = { ...before, ...read };
  for (const name of Object.keys(sent)) {
    const sub = subAttribute(attribute, name);
    if (sub !== undefined && sub.mutability !== "readOnly" && !(sub.name in read)) delete after[sub.name];
  }
  dropFormer(after, read);
  return Object.keys(after).length === 0 ? undefined : after;
}

/** Whoever gives a new `value` or `$ref` means a new reference: the other half of the former one goes. */
function dropFormer(object: Resource, given: Resource): void {
  if ("value" in given && !("$ref" in given)) delete object["$ref"];
  if ("$ref" in given && !("value" in given)) delete object["value"];
}

function holderOf(resource: Resource, urn: string): Resource {
  const found = resource[urn];
  if (isObject(found)) return found;
  const made: Resource = {};
  resource[urn] = made;
  return made;
}

function setOrDelete(holder: Resource, name: string, value: unknown): void {
  if (value === undefined) delete holder[name];
  else holder[name] = value;
}

/** Whether everything `part` says is so in `whole`. */
function covers(part: unknown, whole: unknown): boolean {
  if (!isObject(part) || !isObject(whole)) return sameJson(part, whole);
  if (typeof part["value"] === "string") return part["value"] === whole["value"];
  return Object.entries(part).every(([name, value]) => sameJson(value, whole[name]));
}

function sameJson(a: unknown, b: unknown): boolean {
  if (!isObject(a) || !isObject(b)) return a === b;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => sameJson(a[name], b[name]));
}

function checked(type: ResourceType, resource: Resource): Resource {
  for (const { name, required } of type.core.attributes)
    if (required && resource[name] === undefined)
      throw scimErrors.make("scim-value-invalid", { place: name, reason: "is needed and has no value" });
  if (JSON.stringify(resource).length > patchLimits.resource)
    throw scimErrors.make("scim-too-large", { place: type.name, limit: patchLimits.resource, what: "characters" });
  return resource;
}

/** A member of a message, whose names clients write in any case. */
function member(body: Resource, name: string): unknown {
  if (Object.hasOwn(body, name)) return body[name];
  return Object.entries(body).find(([key]) => key.toLowerCase() === name)?.[1];
}

function isPatchSchema(urn: unknown): boolean {
  return typeof urn === "string" && urn.toLowerCase() === "urn:ietf:params:scim:api:messages:2.0:patchop";
}

function syntaxInvalid(reason: string) {
  return scimErrors.make("scim-syntax-invalid", { reason });
}
