/**
 * Purpose: PostgreSQL's connections as Kysely takes them, with the statements that come again and again prepared: planning one costs as much as running
 * it. The texts of a store are few (sets and bulk rows travel as one parameter each); one that differs every time is never prepared.
 * Failure: a plan that another version's migration has made useless fails once; all are then prepared anew.
 */
import type pg from "pg";

const seenBefore = 3;
const mostNamed = 200;
const mostSeen = 2000;

export function preparingStatements(pool: pg.Pool) {
  const seen = new Map<string, number>();
  const named = new Map<string, number>();
  let edition = 0;

  const nameOf = (text: string): string | undefined => {
    const known = named.get(text);
    if (known !== undefined) return `daicho_${edition}_${known}`;
    const times = (seen.get(text) ?? 0) + 1;
    if (times < seenBefore || named.size >= mostNamed) {
      if (seen.size >= mostSeen) seen.clear();
      seen.set(text, times);
      return undefined;
    }
    seen.delete(text);
    named.set(text, named.size);
    return `daicho_${edition}_${named.size - 1}`;
  };
  // What begins or ends a transaction has nothing to plan.
  const isPlanned = (text: string): boolean => /^\s*(select|insert|update|delete|with)\b/i.test(text);

  const preparing = (client: pg.PoolClient): pg.PoolClient =>
    new Proxy(client, {
      get(target, key) {
        if (key === "query")
          return async (text: unknown, values: unknown[]) => {
            if (typeof text !== "string") return target.query(text as never);
            const name = isPlanned(text) ? nameOf(text) : undefined;
            try {
              return await target.query({ text, values, ...(name !== undefined && { name }) });
            } catch (error) {
              if (name !== undefined && (error as { code?: string }).code === "0A000") edition++;
              throw error;
            }
          };
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });

  return { connect: async () => preparing(await pool.connect()), end: () => pool.end() };
}
