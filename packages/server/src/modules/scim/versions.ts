/** Purpose: `meta` and the versions of Users and Groups: what ETag, If-Match and If-None-Match compare (RFC 7644 §3.14). */
import { createHash } from "node:crypto";
import { scimErrors } from "./protocol/errors.ts";
import type { Resource } from "./protocol/schema.ts";

export interface Caller {
  /** Address of `/scim/v2`, for locations. */
  readonly base: string;
  /** For the record of changes. */
  readonly by: string;
  readonly ifMatch: string | undefined;
}

export function metaOf(
  resourceType: string,
  location: string,
  row: { readonly created_at: number; readonly changed_at: number },
  version: string,
): Resource {
  return {
    resourceType,
    created: new Date(row.created_at).toISOString(),
    lastModified: new Date(row.changed_at).toISOString(),
    location,
    version,
  };
}

export function etag(content: unknown): string {
  return `W/"${createHash("sha256").update(JSON.stringify(content)).digest("base64url").slice(0, 22)}"`;
}

/** @throws scim-version-changed */
export function checkVersion(id: string, shown: Resource, ifMatch: string | undefined): void {
  const version = (shown["meta"] as Resource)["version"] as string;
  if (ifMatch !== undefined && !sameVersion(ifMatch, version))
    throw scimErrors.make("scim-version-changed", { id, version: ifMatch });
}

/** Entity tags are compared weakly: one server's JSON is not another's. */
export function sameVersion(header: string, version: string): boolean {
  const bare = (tag: string): string => tag.trim().replace(/^W\//, "");
  return header.split(",").some((tag) => tag.trim() === "*" || bare(tag) === bare(version));
}
