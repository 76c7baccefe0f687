/**
 * Purpose: SCIM 2.0 (RFC 7643, 7644): identity providers keep employees and departments up to date. Puts the parts together.
 * Where to start reading: protocol/ is SCIM itself - schema, filters, patches - pure and without any knowledge of the ledger; users.ts and groups.ts
 * turn what it says into changes of the organisation; list.ts answers queries.
 */
import type { FastifyInstance } from "fastify";
import type { Clock, Log } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { Events } from "../../events.ts";
import type { Authorize } from "../../http/authorize.ts";
import type { DepartmentFollower, OrgChanges, Organization } from "../organization/index.ts";
import { createGroups } from "./groups.ts";
import { createLists } from "./list.ts";
import { scimRoutes } from "./routes.ts";
import { scimStore as store } from "./store.ts";
import { createUsers } from "./users.ts";

export interface ScimConfig {
  /** departments: a group is a department. ignore: groups are kept and move nobody. */
  readonly groups?: "departments" | "ignore";
  /** Whether a department a User names and nobody knows is made. */
  readonly createDepartments?: boolean;
  readonly url?: string;
}

export interface Scim {
  routes(app: FastifyInstance, deps: { readonly authorize: Authorize; readonly log: Log }): void;
}

export function createScim(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly organization: Organization;
  readonly changes: OrgChanges;
  readonly config: ScimConfig | undefined;
}): Scim {
  const { db, clock, organization, changes, events, config } = deps;
  const changed = (): void => {
    events.emit("devices-changed", {});
    events.emit("positions-changed", {});
  };
  const common = { db, clock, organization, changes, changed, groups: config?.groups ?? "departments" };
  const users = createUsers({ ...common, createDepartments: config?.createDepartments ?? true });
  const groups = createGroups(common);
  const lists = createLists({ db, users, groups });
  return {
    routes: (app, { authorize, log }) =>
      scimRoutes(app, { users, groups, lists, authorize, clock, log, url: config?.url }),
  };
}

/** Groups follow their departments when these are merged or dissolved by others. */
export function createScimFollower(): DepartmentFollower {
  return {
    async departmentsChanged(trx, { merged }) {
      for (const [from, to] of merged) {
        await store.moveAway(trx, from, to);
        // A department is one group: where the heir has one, the other stands for nothing from now on.
        if ((await store.groupOfDepartment(trx, to)) === undefined) await store.setGroupDepartment(trx, from, to);
      }
    },
  };
}
