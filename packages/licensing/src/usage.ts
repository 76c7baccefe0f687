/**
 * Purpose: adds up what devices use (domain.md §5): used per department and licence, from what each device has and for whom it counts.
 * Invariants: a licence counted by user counts 1 per employee on however many devices; a device without a user counts as one user of its own
 * (nobody's use is dropped); on a device that waits to be handed over (employee 0) nobody uses it, so such a licence counts nothing there. Adding
 * and taking away in any order leads to the same numbers.
 */
import type { UsedRow } from "./laws.ts";

export type LicenseCount = readonly [license: number, count: number];

export interface Use {
  /** 0 = on the hand-over list. */
  readonly employee: number | null;
  /** 0 = unassigned. */
  readonly department: number;
}

/** On how many devices an employee of a department uses a licence that is counted by user. */
export interface UserRow {
  readonly employee: number;
  readonly department: number;
  readonly license: number;
  readonly devices: number;
}

export interface Usage {
  add(use: Use, licenses: Iterable<LicenseCount>, sign: 1 | -1): void;
  /** Without what is counted by user. */
  direct(): UsedRow<number>[];
  users(): Generator<UserRow>;
  devicesOf(employee: number, department: number, license: number): number;
  /** Everything: used per department and licence, where it is not 0. */
  each(): Generator<UsedRow<number>>;
  used(): UsedRow<number>[];
}

/** By whom a licence is counted on a device: directly per copy, per employee, or not at all. */
export function countedBy(use: Use, byUser: boolean): "copy" | "user" | "nobody" {
  if (!byUser || use.employee === null) return "copy";
  return use.employee === 0 ? "nobody" : "user";
}

type Nested = Map<number, Map<number, number>>;

export function createUsage(byUser: (license: number) => boolean): Usage {
  /** department → licence → used */
  const direct: Nested = new Map();
  /** licence → department → employee → devices */
  const users = new Map<number, Nested>();
  const people = (license: number, department: number): number => {
    let count = 0;
    for (const devices of users.get(license)?.get(department)?.values() ?? []) if (devices > 0) count++;
    return count;
  };
  const usage: Usage = {
    add(use, licenses, sign) {
      for (const [license, count] of licenses) {
        const how = countedBy(use, byUser(license));
        if (how === "copy") bump(direct, use.department, license, sign * count);
        else if (how === "user") bump(inner(users, license), use.department, use.employee as number, sign);
      }
    },
    direct: () =>
      [...direct].flatMap(([department, row]) =>
        [...row].map(([license, used]): UsedRow<number> => ({ department, license, used })),
      ),
    *users() {
      for (const [license, departments] of users)
        for (const [department, row] of departments)
          for (const [employee, devices] of row) yield { employee, department, license, devices };
    },
    devicesOf: (employee, department, license) => users.get(license)?.get(department)?.get(employee) ?? 0,
    *each() {
      for (const [department, row] of direct)
        for (const [license, copies] of row) {
          const used = copies + people(license, department);
          if (used !== 0) yield { department, license, used };
        }
      for (const [license, departments] of users)
        for (const department of departments.keys()) {
          const used = direct.get(department)?.has(license) === true ? 0 : people(license, department);
          if (used !== 0) yield { department, license, used };
        }
    },
    used: () => [...usage.each()],
  };
  return usage;
}

function inner<K, V>(map: Map<K, Map<number, V>>, key: K): Map<number, V> {
  let found = map.get(key);
  if (found === undefined) map.set(key, (found = new Map<number, V>()));
  return found;
}

function bump(map: Nested, first: number, second: number, by: number): void {
  const row = inner(map, first);
  row.set(second, (row.get(second) ?? 0) + by);
}
