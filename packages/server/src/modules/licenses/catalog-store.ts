/**
 * Purpose: licence codes ↔ ordinals, for entitlements and rights. A code may be bought or granted before any policy knows it: it then gets its row
 * here, named by its code until a policy names it.
 */
import type { Kysely } from "kysely";
import type { Metric } from "@daicho/protocol";
import { text } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";
import type { Schema } from "../../db/schema.ts";
import { inSet } from "../../db/sets.ts";
import { mostWarnings, rowFault, type RowFault } from "../../rows.ts";
import { slicesOf } from "../../slices.ts";

export const licenseRows = (db: Kysely<Schema> | Trx) =>
  db
    .selectFrom("lic_licenses as l")
    .leftJoin("lic_class_categories as c", "c.license", "l.ordinal")
    .select(["l.code", "l.name", "l.metric", "l.managed", "c.category"])
    .where("l.base", "is", null);

export interface EnsuredLicenses {
  readonly ordinals: ReadonlyMap<string, number>;
  /** Codes that nothing had named before. */
  readonly added: ReadonlySet<string>;
}

/** Ordinals of these codes; codes that are new get a row with the given metric. */
export async function ensureLicenses(
  db: Database,
  trx: Trx,
  wanted: ReadonlyMap<string, Metric>,
): Promise<EnsuredLicenses> {
  const found = await findLicenses(db, trx, [...wanted.keys()]);
  const missing = [...wanted].filter(([code]) => !found.has(code)).sort(([a], [b]) => (a < b ? -1 : 1));
  const added = new Set(missing.map(([code]) => code));
  if (missing.length === 0) return { ordinals: found, added };
  for await (const slice of slicesOf(missing, 1000))
    await db.bulk.insert(
      trx,
      {
        table: "lic_licenses",
        columns: [text("code"), text("name"), text("metric")],
        conflict: ["code"],
      },
      slice.map(([code, metric]) => [code, code, metric]),
    );
  return { ordinals: new Map([...found, ...(await findLicenses(db, trx, [...added]))]), added };
}

/** The licences of the policy in force. They get their rows a moment after it is published. */
export type PolicyLicenses = () => ReadonlySet<string>;

/** A code that nothing has named before may be a slip of the pen: the first row of each is worth a look. */
export function warnOfAdded(
  rows: readonly { readonly license?: string }[],
  { added }: EnsuredLicenses,
  ofPolicy: ReadonlySet<string> | undefined,
): readonly RowFault[] {
  const firsts = new Map<string, number>();
  if (added.size > 0)
    for (const [row, { license }] of rows.entries())
      if (license !== undefined && added.has(license) && ofPolicy?.has(license) !== true && !firsts.has(license))
        firsts.set(license, row);
  return [...firsts]
    .slice(0, mostWarnings)
    .map(([id, row]) => rowFault(row, "license", "reference-unknown", { what: "licence", id }));
}

async function findLicenses(db: Database, trx: Trx, codes: readonly string[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const slice of slicesOf(codes, 1000)) {
    const rows = await trx
      .selectFrom("lic_licenses")
      .select(["ordinal", "code"])
      .where(inSet(db.dialect, "lic_licenses.code", slice))
      .execute();
    for (const row of rows) found.set(row.code, row.ordinal);
  }
  return found;
}
