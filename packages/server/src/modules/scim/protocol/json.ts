/** Purpose: `JSON.stringify` for an answer with long lists in it - resources of a page, members of a group - with breaths. */
import { eachInTurn } from "../../../slices.ts";
import { isObject } from "./match.ts";
import type { Resource } from "./schema.ts";

/** A shorter list is written in one go. */
const long = 200;

export async function politeJson(resource: Resource): Promise<string> {
  const fields: string[] = [];
  for (const [name, value] of Object.entries(resource)) {
    if (value === undefined) continue;
    fields.push(`${JSON.stringify(name)}:${Array.isArray(value) ? await listJson(value) : JSON.stringify(value)}`);
  }
  return `{${fields.join(",")}}`;
}

async function listJson(list: readonly unknown[]): Promise<string> {
  if (list.length <= long && !list.some(holdsLong)) return JSON.stringify(list);
  const items: string[] = [];
  await eachInTurn(list, async (one) => {
    // undefined in a list is null, as everywhere.
    items.push(holdsLong(one) ? await politeJson(one) : (JSON.stringify(one) ?? "null"));
  });
  return `[${items.join(",")}]`;
}

function holdsLong(value: unknown): value is Resource {
  return isObject(value) && Object.values(value).some((one) => Array.isArray(one) && one.length > long);
}
