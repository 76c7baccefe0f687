/**
 * Purpose: the titles of all collectors as one list of an inventory.
 * Invariants: sorted by what they say, so the order in which they were found does not show; of records that are the same in every
 * field one stays; every title satisfies the schema. A text over its bound is cut to it and an error says so; more titles than an
 * inventory holds are counted in one.
 */
import { maxTitles, Title, type ScanError } from "@daicho/protocol";
import { scanError } from "../collectors/findings.ts";

export function mergeTitles(lists: readonly (readonly Title[])[], errors: ScanError[]): Title[] {
  const byRecord = new Map<string, Title>();
  for (const list of lists) {
    for (const title of list) {
      const bounded = bound(title, errors);
      if (bounded !== undefined) byRecord.set(sortKey(bounded), bounded);
    }
  }
  const sorted = [...byRecord].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, title]) => title);
  if (sorted.length > maxTitles) {
    errors.push(
      scanError("/", "too-large", `${sorted.length - maxTitles} titles beyond the first ${maxTitles} are left out`),
    );
  }
  return sorted.slice(0, maxTitles);
}

const fields = Object.keys(Title.properties) as (keyof Title)[];

function sortKey(title: Title): string {
  return JSON.stringify(fields.map((field) => title[field] ?? null));
}

function bound(title: Title, errors: ScanError[]): Title | undefined {
  let changed = false;
  const copy: Record<string, string | number> = {};
  for (const field of fields) {
    const value = title[field];
    if (value === undefined) continue;
    if (typeof value === "number") {
      if (Number.isSafeInteger(value) && value >= 0) copy[field] = value;
      else changed = true;
      continue;
    }
    const { maxLength } = Title.properties[field] as { maxLength?: number };
    const sound = wellFormed(value);
    const text = maxLength === undefined || sound.length <= maxLength ? sound : wellFormed(sound.slice(0, maxLength));
    if (text !== value) changed = true;
    copy[field] = text;
  }
  if (!changed) return title;
  const place = title.path ?? title.identifier ?? title.source;
  errors.push(
    scanError(place, "malformed", `a title of ${title.source} has a value that is too long or no text; it was cut`),
  );
  return copy["name"] === "" || copy["source"] === "" ? undefined : (copy as unknown as Title);
}

/** Without NUL, which databases refuse, and without half characters. */
export function wellFormed(text: string): string {
  if (!/[\0\ud800-\udfff]/.test(text)) return text;
  return text.replaceAll("\0", "").replace(/\p{Cs}/gu, "\ufffd");
}
