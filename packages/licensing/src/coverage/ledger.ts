/**
 * Purpose: who is covered by what, while it is being worked out: pools of units, the slots taken from them, and which installation each slot covers.
 * A pool is what entitlements of one licence with the same rights give together; a slot is the copy a consumer - a device, or a person where people
 * are counted - may use: everything there that the rights reach, for one price.
 * What is counted by cores or processors can be covered in parts: a machine of 16 cores by 8 is half covered.
 * Invariants: a pool never gives more units than it has; an installation is in one slot at most, and slot and parts never give it more than it needs;
 * every step but a part can be taken back, to the unit.
 */
import { isUnlimited } from "../entitlement.ts";
import type { CoverEntitlement, CoverInput, CoverLicense, CoverRight, Installation } from "./types.ts";

/** Installations between two yields. */
export const stride = 2048;

export interface Source {
  readonly id: string;
  left: number;
}

export interface Pool {
  readonly license: number;
  readonly code: string;
  readonly metric: CoverLicense["metric"];
  readonly unlimited: boolean;
  /** Its own licence first. */
  readonly rights: ReadonlyMap<number, CoverRight>;
  readonly titles: number;
  readonly secondDevice: boolean;
  readonly sources: readonly Source[];
  left: number;
  readonly slots: Map<number, Slot>;
  /** Where second devices count: slots by person. */
  readonly byEmployee: Map<number, Slot[]>;
}

export interface Slot {
  readonly pool: Pool;
  readonly consumer: number;
  /** Places of installations; those of the second device apart. */
  installations: readonly number[];
  second: readonly number[];
  cost: number;
  from: { readonly source: Source; units: number }[];
  readonly allocation: string | undefined;
}

/** Some of the cores or processors that an installation needs, from one pool. */
export interface Part {
  readonly pool: Pool;
  readonly units: number;
  readonly from: readonly { readonly source: Source; readonly units: number }[];
  readonly allocation: string | undefined;
}

export interface Ledger {
  readonly installations: readonly Installation[];
  readonly pools: readonly Pool[];
  /** By place of the installation. */
  readonly slotOf: (Slot | undefined)[];
  /** By place: what is covered in parts, beside the slot or without one. */
  readonly parts: ReadonlyMap<number, readonly Part[]>;
  /** Slots in the order in which they were opened; some may be closed again. */
  readonly fresh: Slot[];
  /** Nothing is needed for it: its user has left. */
  isNeedless(place: number): boolean;
  /** In no slot, and something is needed for it that no part covers. */
  isUnplaced(place: number): boolean;
  /** That, and not without a limit by itself. */
  isOpen(place: number): boolean;
  /** Units of an installation that no part covers. */
  missingAt(place: number): number;
  metricOf(license: number): CoverLicense["metric"];
  deviceAt(place: number): number;
  /** Consumer of an installation in a pool. */
  consumerOf(pool: Pool, place: number): number;
  /** The person an installation can have a second device by. */
  employeeOf(place: number): number | undefined;
  /** Places of the installations of a licence. */
  of(license: number): readonly number[];
  reaches(pool: Pool, place: number): boolean;
  costOf(pool: Pool, consumer: number, places: readonly number[]): number;
  /** Opens a slot, or adds to the one that is there; false where units lack and nothing was done. */
  place(pool: Pool, consumer: number, places: readonly number[], how?: Placing): boolean;
  /** Covers as many cores or processors of an installation as the pool has left, at most `most`; how many. Stays. */
  placePart(pool: Pool, place: number, most: number, how?: Placing): number;
  placeSecond(slot: Slot, places: readonly number[]): void;
  lift(slot: Slot): void;
  mark(): number;
  undo(mark: number): void;
  /** What was done is done. */
  forget(): void;
}

export interface Placing {
  readonly allocation?: string;
  /** Take units from this entitlement first. */
  readonly entitlement?: string | undefined;
}

export function* createLedger(input: CoverInput): Generator<undefined, Ledger> {
  const licenses = new Map(input.licenses.map((license) => [license.license, license]));
  const rank = new Map(
    [...licenses.values()].sort((a, b) => (a.code < b.code ? -1 : 1)).map(({ license }, i) => [license, i]),
  );
  const metricOf = (license: number): CoverLicense["metric"] => licenses.get(license)?.metric ?? "device";
  const installations = inOrder(input.installations, rank);
  yield;
  const pools = poolsOf(input.entitlements, licenses);

  // Consumers: devices first, then people with the department they are counted in.
  const deviceIndex = new Map<number, number>();
  const deviceOf = new Int32Array(installations.length);
  const byLicense = new Map<number, number[]>();
  for (let place = 0; place < installations.length; place++) {
    if (place % stride === 0) yield;
    const { device, license } = installations[place] as Installation;
    let index = deviceIndex.get(device);
    if (index === undefined) deviceIndex.set(device, (index = deviceIndex.size));
    deviceOf[place] = index;
    const list = byLicense.get(license);
    if (list === undefined) byLicense.set(license, [place]);
    else list.push(place);
  }
  const people = new Map<string, number>();
  const personOf = input.licenses.some(({ metric }) => metric === "user")
    ? new Int32Array(installations.length)
    : deviceOf;
  for (let place = 0; place < installations.length && personOf !== deviceOf; place++) {
    if (place % stride === 0) yield;
    const { employee, department } = installations[place] as Installation;
    personOf[place] = deviceOf[place] as number;
    if (employee === null || employee === 0) continue;
    const key = `${employee}:${department}`;
    let index = people.get(key);
    if (index === undefined) people.set(key, (index = deviceIndex.size + people.size));
    personOf[place] = index;
  }

  const slotOf: (Slot | undefined)[] = new Array<Slot | undefined>(installations.length).fill(undefined);
  /** How to take back what was done since the first mark; before that nothing is. */
  let log: (() => void)[] | undefined;
  const fresh: Slot[] = [];
  const employeeOf = (place: number): number | undefined => installations[place]?.employee || undefined;

  const parts = new Map<number, Part[]>();
  const take = (slot: Slot, units: number, first: string | undefined): void => {
    const { pool } = slot;
    slot.cost += units;
    if (pool.unlimited) {
      const source = pool.sources.find(({ id }) => id === first) ?? pool.sources[0];
      if (source !== undefined && slot.from.length === 0) slot.from.push({ source, units });
    } else slot.from.push(...taken(pool, units, first));
  };
  const giveBack = (slot: Slot): void => {
    if (slot.pool.unlimited) return;
    slot.pool.left += slot.cost;
    for (const { source, units } of slot.from) source.left += units;
  };
  /** The opposite of giving back: the same units from the same entitlements. */
  const takeBack = (slot: Slot): void => {
    if (slot.pool.unlimited) return;
    slot.pool.left -= slot.cost;
    for (const { source, units } of slot.from) source.left -= units;
  };
  const open = (slot: Slot): void => {
    slot.pool.slots.set(slot.consumer, slot);
    for (const place of slot.installations) slotOf[place] = slot;
    for (const place of slot.second) slotOf[place] = slot;
    if (!slot.pool.secondDevice) return;
    const employee = employeeOf(slot.installations[0] as number);
    if (employee === undefined) return;
    const list = slot.pool.byEmployee.get(employee);
    if (list === undefined) slot.pool.byEmployee.set(employee, [slot]);
    else list.push(slot);
  };
  const close = (slot: Slot): void => {
    slot.pool.slots.delete(slot.consumer);
    for (const place of [...slot.installations, ...slot.second]) slotOf[place] = undefined;
    const list = slot.pool.byEmployee.get(employeeOf(slot.installations[0] as number) ?? 0);
    const at = list?.indexOf(slot) ?? -1;
    if (at !== -1) list?.splice(at, 1);
  };

  const ledger: Ledger = {
    installations,
    pools,
    slotOf,
    fresh,
    metricOf,
    deviceAt: (place) => (installations[place] as Installation).device,
    employeeOf,
    isNeedless: (place) => {
      const { employee, license } = installations[place] as Installation;
      return employee === 0 && metricOf(license) === "user";
    },
    parts,
    missingAt: (place) => {
      const needed = (installations[place] as Installation).units;
      return parts.get(place)?.reduce((left, { units }) => left - units, needed) ?? needed;
    },
    isUnplaced: (place) => slotOf[place] === undefined && !ledger.isNeedless(place) && ledger.missingAt(place) > 0,
    isOpen: (place) =>
      ledger.isUnplaced(place) && !isUnlimited(metricOf((installations[place] as Installation).license)),
    consumerOf: (pool, place) => (pool.metric === "user" ? personOf : deviceOf)[place] as number,
    of: (license) => byLicense.get(license) ?? [],
    reaches(pool, place) {
      const { license } = installations[place] as Installation;
      const metric = metricOf(license);
      return pool.rights.has(license) && serves(pool, metric);
    },
    costOf(pool, consumer, places) {
      if (pool.metric === "user" && consumer >= deviceIndex.size) return 1;
      let cost = 0;
      for (const place of places) {
        const { license } = installations[place] as Installation;
        cost = Math.max(cost, metricOf(license) === pool.metric ? ledger.missingAt(place) : 1);
      }
      return cost;
    },
    place(pool, consumer, places, how = {}) {
      const slot = pool.slots.get(consumer);
      const cost = ledger.costOf(pool, consumer, places);
      const more = Math.max(0, cost - (slot?.cost ?? 0));
      if (!pool.unlimited && more > pool.left) return false;
      if (slot === undefined) {
        const made: Slot = {
          pool,
          consumer,
          installations: places,
          second: [],
          cost: 0,
          from: [],
          allocation: how.allocation,
        };
        take(made, cost, how.entitlement);
        open(made);
        fresh.push(made);
        log?.push(() => {
          close(made);
          giveBack(made);
        });
        return true;
      }
      const before = { installations: slot.installations, cost: slot.cost, from: slot.from };
      slot.installations = [...slot.installations, ...places];
      slot.from = [...slot.from];
      if (more > 0) take(slot, more, how.entitlement);
      for (const place of places) slotOf[place] = slot;
      log?.push(() => {
        for (const place of places) slotOf[place] = undefined;
        giveBack(slot);
        Object.assign(slot, before);
        takeBack(slot);
      });
      return true;
    },
    placePart(pool, place, most, how = {}) {
      if (pool.unlimited || !isByHardware(pool.metric) || !ledger.reaches(pool, place)) return 0;
      const units = Math.min(most, pool.left, ledger.missingAt(place));
      if (units <= 0) return 0;
      const part = { pool, units, from: taken(pool, units, how.entitlement), allocation: how.allocation };
      parts.set(place, [...(parts.get(place) ?? []), part]);
      return units;
    },
    placeSecond(slot, places) {
      slot.second = places;
      for (const place of places) slotOf[place] = slot;
      log?.push(() => {
        slot.second = [];
        for (const place of places) slotOf[place] = undefined;
      });
    },
    lift(slot) {
      close(slot);
      giveBack(slot);
      log?.push(() => {
        takeBack(slot);
        open(slot);
      });
    },
    mark: () => (log ??= []).length,
    undo(mark) {
      while (log !== undefined && log.length > mark) log.pop()?.();
    },
    forget: () => void (log = undefined),
  };
  return ledger;
}

/** Takes units from the pool's entitlements, from `first` before others. */
function taken(pool: Pool, units: number, first: string | undefined): { readonly source: Source; units: number }[] {
  const from: { readonly source: Source; units: number }[] = [];
  pool.left -= units;
  let missing = units;
  const take = (source: Source): void => {
    const some = Math.min(missing, source.left);
    if (some === 0) return;
    source.left -= some;
    missing -= some;
    from.push({ source, units: some });
  };
  const preferred = first === undefined ? undefined : pool.sources.find(({ id }) => id === first);
  if (preferred !== undefined) take(preferred);
  for (let i = 0; missing > 0 && i < pool.sources.length; i++) take(pool.sources[i] as Source);
  return from;
}

export function isByHardware(metric: CoverLicense["metric"]): boolean {
  return metric === "core" || metric === "processor";
}

/**
 * Cores cover cores and processors processors; where devices or people are counted, one is as good as the other. What needs no licence uses none of
 * another's.
 */
export function serves(pool: Pick<Pool, "metric" | "unlimited">, installed: CoverLicense["metric"]): boolean {
  if (pool.unlimited) return true;
  if (isUnlimited(installed)) return false;
  return pool.metric === installed || !(isByHardware(pool.metric) || isByHardware(installed));
}

function inOrder(installations: readonly Installation[], rank: ReadonlyMap<number, number>): readonly Installation[] {
  const order = (a: Installation, b: Installation): number =>
    a.device - b.device || (rank.get(a.license) ?? 0) - (rank.get(b.license) ?? 0);
  const known = installations.filter(({ license }) => rank.has(license));
  const sorted = known.every((one, i) => i === 0 || order(known[i - 1] as Installation, one) <= 0);
  return sorted ? known : known.sort(order);
}

/** Valid entitlements of one licence with the same rights, together; in the order of codes, then of their first ids. */
function poolsOf(entitlements: readonly CoverEntitlement[], licenses: ReadonlyMap<number, CoverLicense>): Pool[] {
  const pools = new Map<string, Pool & { sources: Source[] }>();
  const sorted = [...entitlements].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const { id, license, metric, units, validity, reach } of sorted) {
    const own = licenses.get(license);
    if (own === undefined || validity !== "valid") continue;
    const unlimited = isUnlimited(metric) || isUnlimited(own.metric);
    if (!unlimited && units <= 0) continue;
    const others = [...reach.licenses].filter(([other]) => licenses.has(other));
    const secondDevice = reach.secondDevice && !unlimited && own.metric === "device";
    const key = JSON.stringify([license, unlimited, others.sort(([a], [b]) => a - b), reach.titles, secondDevice]);
    let pool = pools.get(key);
    if (pool === undefined) {
      pool = {
        license,
        code: own.code,
        metric: own.metric,
        unlimited,
        rights: new Map<number, CoverRight>([[license, "direct"], ...others]),
        titles: reach.titles,
        secondDevice,
        sources: [],
        left: 0,
        slots: new Map(),
        byEmployee: new Map(),
      };
      pools.set(key, pool);
    }
    pool.sources.push({ id, left: units });
    pool.left += units;
  }
  return [...pools.values()].sort((a, b) => (a.code < b.code ? -1 : a.code > b.code ? 1 : 0));
}
