/** Purpose: a company in an empty store for tests of the organisation: the real ledger and repository, without policies, reports and HTTP. */
import { silentLog, systemClock, type Clock } from "@daicho/kernel";
import { unassigned } from "@daicho/licensing";
import type { Metric } from "@daicho/protocol";
import type { Database } from "../db/database.ts";
import { createEvents } from "../events.ts";
import { createDeviceDirectory, createDevices, createOrgDevices, type DeviceFacts } from "../modules/devices/index.ts";
import { lockHeads } from "../modules/inventory/index.ts";
import { createEntitlements, createOrgLicenses, createPositions, createRights } from "../modules/licenses/index.ts";
import { createRepository } from "../modules/licenses/repository/index.ts";
import { createOrganization, createOrgChangesApply, type OrgChange } from "../modules/organization/index.ts";

const noFacts: DeviceFacts = {
  factsOf: () => Promise.resolve(undefined),
  lastSeenOf: () => Promise.resolve(new Map()),
  hardwareOf: () => Promise.resolve(new Map()),
  licensesOf: () => Promise.resolve(new Map()),
  withLicense: () => Promise.resolve([]),
  withTitle: () => Promise.resolve([]),
};

export function createCompany(db: Database, clock: Clock = systemClock) {
  const events = createEvents(silentLog);
  const directory = createDeviceDirectory({ db, clock });
  const repository = createRepository({ db, devices: directory, clock, deriveAgain: () => Promise.resolve() });
  const counting = {
    usage: repository,
    lockHeads: (trx: Parameters<typeof lockHeads>[1], devices: readonly number[]) => lockHeads(db, trx, devices),
  };
  const devices = createDevices({ db, clock, events, facts: noFacts, ...counting });
  const organization = createOrganization({ db, clock, events, devices });
  const rights = createRights({ db, clock, events });
  const entitlements = createEntitlements({ db, clock, events });
  const positions = createPositions({ db, clock });
  const orgLicenses = createOrgLicenses({ db, positions });
  const changes = createOrgChangesApply({
    db,
    devices: createOrgDevices({ db, ...counting }),
    licenses: orgLicenses,
    // This company has none; tests of applications start a server.
    applications: { openOf: () => Promise.resolve([]), hand: () => Promise.resolve() },
    followers: [orgLicenses],
  });
  const at = (): number => clock.now();
  return {
    db,
    clock,
    events,
    directory,
    repository,
    devices,
    organization,
    rights,
    entitlements,
    positions,
    changes,
    apply: (...list: readonly OrgChange[]) =>
      db.transaction((trx) => changes.apply(trx, list, { at: at(), by: "test" })),
    metric: (code: string, metric: Metric) =>
      db.transaction((trx) => repository.syncLicenses(trx, [{ code, name: code, metric }], new Set())),
    record: (uses: Readonly<Record<string, readonly string[]>>) =>
      db.transaction(async (trx) => {
        const rows = await trx.selectFrom("dev_devices").select(["id", "ordinal"]).execute();
        await repository.record(
          trx,
          rows
            .filter(({ id }) => uses[id] !== undefined)
            .map(({ id, ordinal }) => ({
              device: ordinal,
              licenses: (uses[id] ?? []).map((license) => ({ license, count: 1 })),
            })),
          at(),
        );
      }),
    /** `department license` → stored used; zeros left out. */
    async used(): Promise<Record<string, number>> {
      return named(await db.kysely.selectFrom("lic_usage").selectAll().execute(), "used");
    },
    /** The same, counted anew from the open intervals. */
    async recounted(): Promise<Record<string, number>> {
      return named([...(await repository.recount()).usage], "used");
    },
    async rightsOf(field: "rights" | "required" | "requested" = "rights"): Promise<Record<string, number>> {
      return named(await db.kysely.selectFrom("lic_rights").selectAll().execute(), field);
    },
    /** Devices whose open interval says something else than the ledger. */
    async astray(): Promise<readonly number[]> {
      return db.transaction(async (trx) => {
        const open = await trx.selectFrom("lic_repository").selectAll().execute();
        const assigned = await directory.assignments(
          trx,
          open.map((row) => row.device),
        );
        return open.flatMap((row) => {
          const to = assigned.get(row.device);
          return to?.department === row.department && to.employee === row.employee && to.counts ? [] : [row.device];
        });
      });
    },
  };

  async function named<F extends string>(
    rows: readonly ({ readonly department: number; readonly license: number } & Readonly<Record<F, number>>)[],
    field: F,
  ): Promise<Record<string, number>> {
    const departments = await db.kysely.selectFrom("org_departments").select(["ordinal", "code"]).execute();
    const licenses = await db.kysely.selectFrom("lic_licenses").select(["ordinal", "code"]).execute();
    const codeOf = new Map(departments.map((d) => [d.ordinal, d.code]));
    const licenseOf = new Map(licenses.map((l) => [l.ordinal, l.code]));
    return Object.fromEntries(
      rows
        .filter((row) => row[field] !== 0)
        .map((row): [string, number] => [
          `${codeOf.get(row.department) ?? unassigned} ${licenseOf.get(row.license) ?? "?"}`,
          row[field],
        ])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  }
}
export type Company = ReturnType<typeof createCompany>;
