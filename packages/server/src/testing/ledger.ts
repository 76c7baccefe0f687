/**
 * Purpose: a small company for tests of what counts and what covers: two departments, three people, licences by device and by user, a clock that is
 * moved by hand - through the same services as the API.
 */
import { expect } from "vitest";
import { manualClock, silentLog } from "@daicho/kernel";
import { packSection } from "@daicho/protocol";
import type { Database } from "../db/database.ts";
import { createEvents } from "../events.ts";
import { createDeviceDirectory, createDevices } from "../modules/devices/index.ts";
import { lockHeads } from "../modules/inventory/index.ts";
import { createOrganization } from "../modules/organization/index.ts";
import {
  createAllocations,
  createEntitlements,
  createExplain,
  createPositions,
  createReconcile,
  createRights,
  createVersionPaths,
} from "../modules/licenses/index.ts";
import { createRepository } from "../modules/licenses/repository/index.ts";
import { reshapedFrom } from "../modules/licenses/coverage/index.ts";

export const ledgerCodes = ["@A", "@B", "@S", "@V16", "@V19", "@U"];

export async function assembleLedger(db: Database) {
  const clock = manualClock(Date.UTC(2026, 0, 1));
  const common = { db, clock, events: createEvents(silentLog) };
  const directory = createDeviceDirectory(common);
  const repository = createRepository({ ...common, devices: directory, deriveAgain: () => Promise.resolve() });
  const devices = createDevices({
    ...common,
    facts: {
      factsOf: () => Promise.resolve(undefined),
      lastSeenOf: () => Promise.resolve(new Map()),
      hardwareOf: () => Promise.resolve(new Map()),
      licensesOf: (devices) => repository.licensesOf(devices),
      withLicense: () => Promise.resolve([]),
      withTitle: () => Promise.resolve([]),
    },
    usage: repository,
    lockHeads: (trx, ids) => lockHeads(db, trx, ids),
  });
  const organization = createOrganization({ ...common, devices });
  const entitlements = createEntitlements(common);
  const rights = createRights(common);
  const allocations = createAllocations(common);
  const paths = createVersionPaths(common);
  const positions = createPositions(common);
  const reconcile = createReconcile({ ...common, positions, repository });
  const explain = createExplain({
    ...common,
    positions,
    facts: {
      factsOf: () => Promise.resolve(undefined),
      explain: () => ({ licenses: [], notMatched: [] }),
      unitsOf: () => ({ metric: "device", units: 1 }),
    },
  });

  await db.transaction((trx) =>
    repository.syncLicenses(trx, ledgerCodes.map((code) => ({ code, name: code, metric: code === "@U" ? ("user" as const) : ("device" as const) })), new Set()),
  ); // prettier-ignore
  await organization.saveDepartment({ code: "D1", name: "One" }, "create");
  await organization.saveDepartment({ code: "D2", name: "Two" }, "create");
  for (const [id, department] of [["E1", "D1"], ["E2", "D2"], ["E3", "D1"]] as const)
    await organization.saveEmployee({ id, name: id, department }, "create"); // prettier-ignore

  const tick = (): void => clock.advance(1000);
  const ordinals = new Map<string, number>();
  const add = async (id: string, over: { employee?: string; department?: string } = {}): Promise<void> => {
    await devices.save({ id, hostname: id, ...over }, "create");
    const row = await db.kysely
      .selectFrom("dev_devices")
      .select("ordinal")
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    ordinals.set(id, row.ordinal);
  };
  const uses = async (id: string, licenses: readonly string[]): Promise<void> => {
    tick();
    await db.transaction((trx) =>
      repository.record(
        trx,
        [{ device: ordinals.get(id) as number, licenses: licenses.map((license) => ({ license, count: 1 })) }],
        clock.now(),
      ),
    );
  };
  const chassis = async (id: string, word: string, virtual = false): Promise<void> => {
    const machine = packSection({ hostname: id, hardware: { chassis: word, virtual }, probesVersion: 0 });
    const row = { device: ordinals.get(id) as number, titles: Buffer.alloc(0), details: Buffer.alloc(0), probes: Buffer.alloc(0), machine: Buffer.from(machine), scan: null, asserted: null }; // prettier-ignore
    await db.transaction(async (trx) => {
      const held = await trx.selectFrom("inv_states").select("machine").where("device", "=", row.device).executeTakeFirst(); // prettier-ignore
      await trx.insertInto("inv_states").values(row).onConflict((c) => c.column("device").doUpdateSet(row)).execute(); // prettier-ignore
      const traits = held === undefined ? undefined : reshapedFrom(held.machine, row.machine);
      if (traits !== undefined) await repository.reshaped(trx, [{ device: row.device, traits }], clock.now());
    });
  };
  const bought = (license: string, quantity: number, attached = "", over = {}) => {
    tick();
    return entitlements.create({ license, quantity, ...(attached !== "" && { rights: attached }), ...over });
  };
  const position = async (license: string) =>
    (await positions.company()).items.find((item) => item.license === license);
  const used = async (): Promise<Record<string, number>> =>
    Object.fromEntries((await positions.company()).items.filter((i) => i.used > 0).map((i) => [i.license, i.used]));
  const inDepartment = async (code: string): Promise<Record<string, [used: number, installed: number]>> =>
    Object.fromEntries((await positions.department(code)).items.map((i) => [i.license, [i.used, i.installed]]));
  const toldOf = async (license: string, department?: string) => {
    const sums = { used: 0, installed: 0 };
    for (let cursor: string | undefined; ;) {
      const page = await explain.position(license, {
        limit: 2,
        ...(cursor !== undefined && { cursor }),
        ...(department !== undefined && { department }),
      });
      for (const item of page.items) {
        sums.used += item.used;
        sums.installed += item.installed;
      }
      cursor = page.nextCursor;
      if (cursor !== undefined) continue;
      expect(page.totals).toMatchObject(sums);
      return { ...sums, held: page.totals.held };
    }
  };
  const isSound = async (): Promise<void> => {
    const { differences } = await reconcile();
    expect(differences).toEqual([]);
    const { items } = await positions.company();
    const sums = new Map<string, number>();
    for (const item of (await positions.departments()).items)
      sums.set(item.license, (sums.get(item.license) ?? 0) + item.used);
    for (const item of items) {
      expect(item.overUnder, item.license).toBe(item.held - item.used);
      expect(sums.get(item.license) ?? 0, item.license).toBe(item.used);
      expect((item.allocatedInUse ?? 0) + (item.notAllocatedInUse ?? 0), item.license).toBe(item.used);
      // "Why is this n?" adds up, page by page.
      const told = await toldOf(item.license);
      expect(told, item.license).toEqual({ used: item.used, installed: item.installed, held: item.held });
    }
    for (const department of ["D1", "D2", "unassigned"])
      for (const item of (await positions.department(department)).items)
        expect(await toldOf(item.license, department), `${department} ${item.license}`).toMatchObject({
          used: item.used,
          installed: item.installed,
        });
  };
  return { db, clock, tick, repository, devices, organization, entitlements, rights, allocations, paths, positions, explain, reconcile, add, uses, chassis, bought, position, used, inDepartment, isSound, ordinals }; // prettier-ignore
}
