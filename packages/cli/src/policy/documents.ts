/** Purpose: the two documents of policy files, made the same way every time. */
import { buildDocuments, type BuiltDocuments, type ParsedPolicy } from "@daicho/policy";

/** Time and version come from the input alone: the same files give the same bytes. */
export function documentsOf(
  policies: readonly ParsedPolicy[],
  company: string,
  env: Readonly<Record<string, string | undefined>>,
): BuiltDocuments {
  return buildDocuments({
    enterprise: policies.filter((p) => p.edition === "enterprise"),
    local: policies.filter((p) => p.edition === "local"),
    company,
    dictionaryVersion: Math.max(1, ...policies.map((p) => p.version)),
    generatedAt: new Date(buildTime(env)).toISOString(),
  });
}

/** SOURCE_DATE_EPOCH, as reproducible builds use it. */
function buildTime(env: Readonly<Record<string, string | undefined>>): number {
  const seconds = env["SOURCE_DATE_EPOCH"] ?? "";
  return /^\d{1,11}$/.test(seconds) ? Number(seconds) * 1000 : 0;
}
