/**
 * Purpose: a licence - and beside it each class of installations that are not managed - has a row and a number of its own; intervals and counters hold the
 * numbers. From what is used to the rows that count it, and back.
 */
import { unmanagedClasses, type UnmanagedClass } from "@daicho/licensing";
import type { Database, Trx } from "../../../db/database.ts";
import { repositoryStore } from "./store.ts";

export interface Use {
  readonly license: string;
  readonly class?: UnmanagedClass;
}

/** The code of the row that counts it: no text from outside holds the separator, so none names a variant. */
export function rowCode({ license, class: of }: Use): string {
  return of === undefined ? license : `${license}\u001f${of}`;
}

/** By ordinal what each row counts. */
export function usesByOrdinal(rows: Awaited<ReturnType<typeof repositoryStore.licenses>>): ReadonlyMap<number, Use> {
  const codes = new Map(rows.map((row) => [row.ordinal, row.code]));
  return new Map(
    rows.map((row): [number, Use] => {
      const of = unmanagedClasses.find((c) => c === row.class);
      const license = codes.get(row.base ?? row.ordinal) ?? row.code;
      return [row.ordinal, { license, ...(of !== undefined && { class: of }) }];
    }),
  );
}

/** Ordinals of licence rows by `rowCode`; new codes and variants get a row. */
export async function ordinalsOf(db: Database, trx: Trx, uses: readonly Use[]): Promise<ReadonlyMap<string, number>> {
  const wanted = [...new Set(uses.flatMap((use) => [use.license, rowCode(use)]))];
  const known = new Map<string, number>();
  const look = async (codes: readonly string[]): Promise<void> => {
    for (const row of await repositoryStore.ordinals(trx, codes)) known.set(row.code, row.ordinal);
  };
  const missing = (): string[] => wanted.filter((code) => !known.has(code));
  await look(wanted);
  if (missing().length === 0) return known;
  const licenses = new Set(uses.flatMap(({ license }) => (known.has(license) ? [] : [license])));
  if (licenses.size > 0) {
    await repositoryStore.addLicenses(
      db,
      trx,
      [...licenses].map((code) => ({ code, name: code, metric: "device" })),
    );
    await look(missing());
  }
  const variants = new Map(
    uses.flatMap((use) =>
      use.class === undefined || known.has(rowCode(use)) ? [] : [[rowCode(use), { ...use, class: use.class }] as const],
    ),
  );
  if (variants.size > 0) {
    const bases = [...variants.values()].map(({ license }) => known.get(license) as number);
    const metrics = await repositoryStore.metrics(trx, bases);
    await repositoryStore.addVariants(
      db,
      trx,
      [...variants].map(([code, { license, class: of }]) => {
        const base = known.get(license) as number;
        return { code, name: license, metric: metrics.get(base) ?? "device", base, class: of };
      }),
    );
    await look(missing());
  }
  return known;
}
