/**
 * Purpose: SCIM's users, groups and memberships as rows; one query per method. Employees and departments are read along with them and written by
 * their own context.
 */
import { sql, type Kysely } from "kysely";
import type { Database, Trx } from "../../db/database.ts";
import { integer, type DialectName } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";
import { inSet } from "../../db/sets.ts";

/** A transaction, or whatever sees one moment. */
export type Reader = Kysely<Schema> | Trx;

/** Where someone belongs: who has left may have been put elsewhere meanwhile. 0 = nowhere. */
const belongsTo = sql<number>`case when e.left_at is null then coalesce(e.department, 0) else coalesce(u.away_department, e.department, 0) end`;

const users = (db: Reader) =>
  db
    .selectFrom("scim_users as u")
    .innerJoin("org_employees as e", "e.ordinal", "u.employee")
    .select([
      "u.ordinal",
      "u.id",
      "u.user_name",
      "u.external_id",
      "u.employee",
      "u.away_department",
      "u.resource",
      "u.created_at",
      "u.changed_at",
      "e.id as employee_id",
      "e.name",
      "e.mail",
      "e.department",
      "e.title",
      "e.manager",
      "e.left_at",
    ])
    .select(belongsTo.as("belongs_to"));

export type UserRow = Awaited<ReturnType<ReturnType<typeof users>["execute"]>>[number];
export type GroupRow = Awaited<ReturnType<(typeof scimStore)["groups"]>>[number];
export type DepartmentRow = Awaited<ReturnType<(typeof scimStore)["departments"]>>[number];
export interface MemberRow {
  readonly id: string;
  readonly ordinal: number;
  readonly display: string;
  /** What the next page comes after. */
  readonly place: number;
}

/** What a filter asks for that an index answers. */
export interface UserKeys {
  readonly id?: string;
  /** Lower case. */
  readonly userKey?: string;
  readonly externalId?: string;
}

export const scimStore = {
  user: (db: Reader, id: string) => users(db).where("u.id", "=", id).executeTakeFirst(),

  userByKey: (db: Reader, key: string) => users(db).where("u.user_key", "=", key).executeTakeFirst(),

  userOfEmployee: (db: Reader, employee: number) => users(db).where("u.employee", "=", employee).executeTakeFirst(),

  usersById: (db: Reader, dialect: DialectName, ids: readonly string[]) =>
    users(db)
      .where(inSet(dialect, "u.id", ids))
      .execute(),

  usersByOrdinal: (db: Reader, dialect: DialectName, ordinals: readonly number[]) =>
    users(db)
      .where(inSet(dialect, "u.ordinal", ordinals))
      .execute(),

  usersByEmployeeId: (db: Reader, dialect: DialectName, ids: readonly string[]) =>
    users(db)
      .where(inSet(dialect, "e.id", ids))
      .execute(),

  usersAfter(db: Reader, after: number, limit: number, keys: UserKeys) {
    let select = users(db).where("u.ordinal", ">", after);
    if (keys.id !== undefined) select = select.where("u.id", "=", keys.id);
    if (keys.userKey !== undefined) select = select.where("u.user_key", "=", keys.userKey);
    if (keys.externalId !== undefined) select = select.where("u.external_id", "=", keys.externalId);
    return select.orderBy("u.ordinal").limit(limit).execute();
  },

  usersPage: (db: Reader, offset: number, limit: number) =>
    users(db).orderBy("u.ordinal").offset(offset).limit(limit).execute(),

  countUsers: (db: Reader) =>
    db
      .selectFrom("scim_users")
      .select((e) => e.fn.countAll<number>().as("count"))
      .executeTakeFirstOrThrow(),

  insertUser: (trx: Trx, row: Omit<Schema["scim_users"], "ordinal">) =>
    trx.insertInto("scim_users").values(row).execute(),

  updateUser: (
    trx: Trx,
    ordinal: number,
    set: Pick<Schema["scim_users"], "user_name" | "user_key" | "external_id" | "resource" | "changed_at">,
  ) => trx.updateTable("scim_users").set(set).where("ordinal", "=", ordinal).execute(),

  setAway: (trx: Trx, dialect: DialectName, ordinals: readonly number[], department: number | null) =>
    trx
      .updateTable("scim_users")
      .set({ away_department: department })
      .where(inSet(dialect, "scim_users.ordinal", ordinals))
      .execute(),

  deleteUser: (trx: Trx, ordinal: number) => trx.deleteFrom("scim_users").where("ordinal", "=", ordinal).execute(),

  employeesById: (db: Reader, dialect: DialectName, ids: readonly string[]) =>
    db
      .selectFrom("org_employees")
      .select(["ordinal", "id", "name", "mail", "department", "title", "manager", "left_at"])
      .where(inSet(dialect, "org_employees.id", ids))
      .execute(),

  employeesByMail: (db: Reader, mail: string) =>
    db
      .selectFrom("org_employees")
      .select(["ordinal", "id", "name", "mail", "department", "title", "manager", "left_at"])
      .where(sql`lower(mail)`, "=", mail.toLowerCase())
      .limit(2)
      .execute(),

  /** Dissolved ones among them. */
  departments: (db: Reader) =>
    db.selectFrom("org_departments").select(["ordinal", "code", "name", "parent", "dissolved_at"]).execute(),

  groups: (db: Reader) =>
    db
      .selectFrom("scim_groups")
      .select(["ordinal", "id", "external_id", "name", "department", "resource", "version", "created_at", "changed_at"])
      .orderBy("ordinal")
      .execute(),

  insertGroup: (trx: Trx, row: Omit<Schema["scim_groups"], "ordinal" | "version">) =>
    trx.insertInto("scim_groups").values(row).execute(),

  updateGroup: (
    trx: Trx,
    ordinal: number,
    set: Pick<Schema["scim_groups"], "external_id" | "name" | "resource" | "changed_at">,
  ) =>
    trx
      .updateTable("scim_groups")
      .set(set)
      .set((e) => ({ version: e("version", "+", 1) }))
      .where("ordinal", "=", ordinal)
      .execute(),

  deleteGroup: (trx: Trx, ordinal: number) => trx.deleteFrom("scim_groups").where("ordinal", "=", ordinal).execute(),

  setGroupDepartment: (trx: Trx, from: number, to: number) =>
    trx.updateTable("scim_groups").set({ department: to }).where("department", "=", from).execute(),

  groupOfDepartment: (trx: Trx, department: number) =>
    trx.selectFrom("scim_groups").select("ordinal").where("department", "=", department).executeTakeFirst(),

  moveAway: (trx: Trx, from: number, to: number) =>
    trx.updateTable("scim_users").set({ away_department: to }).where("away_department", "=", from).execute(),

  /** Users who belong to a department, and those who left it and would if they came back; `after` and in the order of employees. */
  usersOfDepartment: (db: Reader, department: number, after: number, limit: number) =>
    db
      .selectFrom("org_employees as e")
      .innerJoin("scim_users as u", "u.employee", "e.ordinal")
      .select(["u.id", "u.ordinal", "e.name as display", "e.ordinal as place"])
      .where("e.department", "=", department)
      .where("e.ordinal", ">", after)
      .where(belongsTo, "=", department)
      .orderBy("e.ordinal")
      .limit(limit)
      .execute(),

  /** Those who left another department and were put into this one since. */
  usersAway: (db: Reader, department: number, after: number, limit: number) =>
    db
      .selectFrom("scim_users as u")
      .innerJoin("org_employees as e", "e.ordinal", "u.employee")
      .select(["u.id", "u.ordinal", "e.name as display", "u.ordinal as place"])
      .where("u.away_department", "=", department)
      .where("u.ordinal", ">", after)
      .where("e.left_at", "is not", null)
      .where((eb) => eb.or([eb("e.department", "is", null), eb("e.department", "<>", department)]))
      .orderBy("u.ordinal")
      .limit(limit)
      .execute(),

  usersOfGroup: (db: Reader, group: number, after: number, limit: number) =>
    db
      .selectFrom("scim_members as m")
      .innerJoin("scim_users as u", "u.ordinal", "m.member_user")
      .innerJoin("org_employees as e", "e.ordinal", "u.employee")
      .select(["u.id", "u.ordinal", "e.name as display", "u.ordinal as place"])
      .where("m.of_group", "=", group)
      .where("m.member_user", ">", after)
      .orderBy("m.member_user")
      .limit(limit)
      .execute(),

  groupsOfGroup: (db: Reader, group: number) =>
    db
      .selectFrom("scim_members")
      .select("member_group")
      .where("of_group", "=", group)
      .where("member_group", ">", 0)
      .execute(),

  membershipsOfUsers: (db: Reader, dialect: DialectName, users: readonly number[]) =>
    db
      .selectFrom("scim_members")
      .select(["of_group", "member_user"])
      .where(inSet(dialect, "scim_members.member_user", users))
      .execute(),

  /** of_group, member_user, member_group */
  insertMembers: (db: Database, trx: Trx, rows: readonly (readonly number[])[]) =>
    db.bulk.insert(
      trx,
      {
        table: "scim_members",
        columns: [integer("of_group"), integer("member_user"), integer("member_group")],
        conflict: ["of_group", "member_user", "member_group"],
      },
      rows,
    ),

  deleteMembers: (
    trx: Trx,
    dialect: DialectName,
    group: number,
    members: { readonly users: readonly number[]; readonly groups: readonly number[] },
  ) =>
    trx
      .deleteFrom("scim_members")
      .where("of_group", "=", group)
      .where((e) =>
        e.or([
          inSet(dialect, "scim_members.member_user", members.users),
          inSet(dialect, "scim_members.member_group", members.groups),
        ]),
      )
      .execute(),

  /** Everything that mentions a user or a group that is going. */
  forgetMember: (trx: Trx, member: { readonly user?: number; readonly group?: number }) =>
    trx
      .deleteFrom("scim_members")
      .where((e) =>
        member.user !== undefined
          ? e("member_user", "=", member.user)
          : e.or([e("member_group", "=", member.group ?? -1), e("of_group", "=", member.group ?? -1)]),
      )
      .execute(),
};
