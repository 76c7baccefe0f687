/**
 * Purpose: quotas follow the departments that take over others (domain.md §6). Who takes over may have as much as all of them together; where one of
 * them had no limit, nor has the heir. A department made by the same change had no say.
 */
import type { Database, Trx } from "../../../db/database.ts";
import { quotaStore as store } from "./quota-store.ts";
import { maxRights } from "./write.ts";

export async function handQuotas(
  db: Database,
  trx: Trx,
  heirs: ReadonlyMap<number, number>,
  made: ReadonlySet<number>,
): Promise<void> {
  const parties = new Map<number, Set<number>>();
  for (const [from, to] of heirs) {
    const together = parties.get(to) ?? new Set(made.has(to) ? [] : [to]);
    parties.set(to, together.add(from));
  }
  const rows = await store.ofDepartments(trx, db.dialect, [...heirs.keys(), ...heirs.values()]);
  if (rows.length === 0) return;
  await store.removeDepartments(
    trx,
    db.dialect,
    [...parties.values()].flatMap((together) => [...together]),
  );
  for (const [heir, together] of parties) {
    const quotas = new Map<number, number[]>();
    for (const { department, license, quota } of rows)
      if (together.has(department)) quotas.set(license, [...(quotas.get(license) ?? []), quota]);
    for (const [license, given] of quotas)
      if (given.length === together.size)
        await store.set(trx, {
          department: heir,
          license,
          quota: Math.min(
            maxRights,
            given.reduce((sum, quota) => sum + quota, 0),
          ),
        });
  }
}
