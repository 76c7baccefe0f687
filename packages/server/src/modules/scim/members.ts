/**
 * Purpose: the members of a Group. Where groups are departments, those are the people of the department - also who is away and returns to it - and the
 * departments directly below it; else whom the client has put in.
 * Invariants: read in pages, because a department may have very many people, and others get their turn between two.
 */
import { breathe, eachPolitely } from "../../slices.ts";
import type { Directory } from "./directory.ts";
import type { Resource } from "./protocol/schema.ts";
import { scimStore as store, type GroupRow, type MemberRow, type Reader } from "./store.ts";

/** Members read at a time. */
export const memberPage = 1000;

export interface Members {
  /** Groups, then users in the order they were made. */
  membersOf(trx: Reader, row: GroupRow, directory: Directory, base: string): Promise<Resource[]>;
  /** In the order they were made. */
  usersIn(trx: Reader, row: GroupRow): Promise<MemberRow[]>;
}

export function createMembers(areDepartments: boolean): Members {
  return { membersOf, usersIn };

  async function membersOf(trx: Reader, row: GroupRow, directory: Directory, base: string): Promise<Resource[]> {
    const members: Resource[] = [];
    for (const below of await groupsBelow(trx, row, directory))
      members.push({
        value: below.id,
        $ref: `${base}/Groups/${below.id}`,
        type: "Group",
        display: directory.departments.get(below.department ?? 0)?.name ?? below.name,
      });
    await eachPolitely(
      await usersIn(trx, row),
      ({ id, display }) => void members.push({ value: id, $ref: `${base}/Users/${id}`, type: "User", display }),
    );
    return members;
  }

  async function usersIn(trx: Reader, { ordinal, department }: GroupRow): Promise<MemberRow[]> {
    const found: MemberRow[] = [];
    const collect = async (page: (after: number, limit: number) => Promise<readonly MemberRow[]>): Promise<void> => {
      for (let after = 0, rows: readonly MemberRow[]; ; after = rows[rows.length - 1]?.place ?? after) {
        rows = await page(after, memberPage);
        for (const row of rows) found.push(row);
        if (rows.length < memberPage) return;
        await breathe();
      }
    };
    if (!areDepartments) await collect((after, limit) => store.usersOfGroup(trx, ordinal, after, limit));
    else if (department !== null) {
      await collect((after, limit) => store.usersOfDepartment(trx, department, after, limit));
      await collect((after, limit) => store.usersAway(trx, department, after, limit));
    }
    return found.sort((a, b) => a.ordinal - b.ordinal);
  }

  async function groupsBelow(trx: Reader, row: GroupRow, directory: Directory): Promise<GroupRow[]> {
    if (areDepartments)
      return directory.groups.filter((g) => {
        const department = directory.departments.get(g.department ?? 0);
        return row.department !== null && department?.parent === row.department && department.dissolved_at === null;
      });
    const ordinals = new Set((await store.groupsOfGroup(trx, row.ordinal)).map((m) => m.member_group));
    return directory.groups.filter((g) => ordinals.has(g.ordinal));
  }
}
