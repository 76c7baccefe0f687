/** Purpose: the part of a resource a client asks for by `attributes` or `excludedAttributes` (RFC 7644 §3.9). Pure. */
import { isObject } from "./match.ts";
import { resolve, type Resource, type ResourceType, type Target } from "./schema.ts";

export interface Projection {
  /** Whether a top-level attribute (`members`) would be in the answer at all. */
  has(name: string): boolean;
  of(resource: Resource): Resource;
}

/** Names that say nothing to us are passed over. */
export function projection(
  type: ResourceType,
  query: { readonly attributes?: readonly string[]; readonly excludedAttributes?: readonly string[] },
): Projection {
  const targets = (names: readonly string[]): Target[] =>
    names.map((name) => resolve(type, name)).filter((target) => target !== undefined);
  if (query.attributes !== undefined && query.attributes.length > 0) {
    const wanted = targets(query.attributes);
    return {
      has: (name) => wanted.some(({ attribute }) => attribute?.name === name),
      of: (resource) => only(resource, wanted),
    };
  }
  const unwanted = targets(query.excludedAttributes ?? []).filter(({ attribute }) => attribute?.returned !== "always");
  return {
    has: (name) => !unwanted.some(({ attribute, sub }) => attribute?.name === name && sub === undefined),
    of: (resource) => (unwanted.length === 0 ? resource : without(resource, unwanted)),
  };
}

function only(resource: Resource, wanted: readonly Target[]): Resource {
  const kept: Resource = { schemas: resource["schemas"], id: resource["id"] };
  for (const { extension, attribute, sub } of wanted) {
    const from = extension === undefined ? resource : resource[extension.id];
    if (!isObject(from)) continue;
    if (attribute === undefined) {
      if (extension !== undefined) kept[extension.id] = from;
      continue;
    }
    const value = from[attribute.name];
    if (value === undefined) continue;
    const to = extension === undefined ? kept : ((kept[extension.id] ??= {}) as Resource);
    to[attribute.name] =
      sub === undefined
        ? value
        : each(value, to[attribute.name], (one, before) => ({
            ...before,
            ...(sub.name in one && { [sub.name]: one[sub.name] }),
          }));
  }
  return kept;
}

function without(resource: Resource, unwanted: readonly Target[]): Resource {
  const kept: Resource = { ...resource };
  for (const { extension, attribute, sub } of unwanted) {
    if (extension !== undefined && attribute === undefined) {
      delete kept[extension.id];
      continue;
    }
    if (attribute === undefined) continue;
    let holder = kept;
    if (extension !== undefined) {
      const before = kept[extension.id];
      if (!isObject(before)) continue;
      kept[extension.id] = holder = { ...before };
    }
    if (sub === undefined) delete holder[attribute.name];
    else if (holder[attribute.name] !== undefined)
      holder[attribute.name] = each(holder[attribute.name], undefined, (one) => {
        const { [sub.name]: dropped, ...rest } = one;
        void dropped;
        return rest;
      });
  }
  return kept;
}

/** Each value of one or several; `before` is what the same place holds already. */
function each(value: unknown, before: unknown, make: (one: Resource, before: Resource) => Resource): unknown {
  const one = (single: unknown, former: unknown): unknown =>
    isObject(single) ? make(single, isObject(former) ? former : {}) : single;
  return Array.isArray(value)
    ? value.map((single: unknown, index) =>
        one(single, Array.isArray(before) ? (before as unknown[])[index] : undefined),
      )
    : one(value, before);
}
