/**
 * Purpose: which entitlement covers which installation (domain.md §5; issue 3): allocations to devices and people come first; then licences that
 * cover several titles, most titles first; then single ones - a licence's own copies before those that may run another version, people with a free
 * second device before the rest; what is left is excess.
 * Invariants: no entitlement gives more units than it has; an installation is covered once at most; what is used is what was consumed; the order of
 * the input decides nothing (ties: licence code, entitlement id, device). Nothing stays uncovered while an entitlement that reaches it is left over:
 * where the fixed order used up what only another could do without, installations change places (augment.ts). Attached rights never make things
 * worse: where the fixed order would leave more uncovered than serving each licence by its own entitlements first, the latter is taken.
 * Where it deliberately is not the best possible: allocations that are in use stay where they are, an installation counted by cores or processors is
 * covered whole or not at all and keeps its place, and with suites of several titles the best is not searched for (that would not end in time).
 * An allocation of something that is not there keeps nobody else from using it: it comes first, when it comes.
 * Long: `coverSteps` yields so that its caller may let others run.
 */
import { isUnlimited } from "../entitlement.ts";
import { augment } from "./augment.ts";
import { createLedger, stride, type Ledger, type Pool, type Slot } from "./ledger.ts";
import type {
  Allocation,
  AllocationTotals,
  Consumption,
  Covered,
  CoverInput,
  CoverResult,
  CoverRight,
  Installation,
  UncoveredReason,
} from "./types.ts";

export function cover(input: CoverInput): CoverResult {
  const steps = coverSteps(input);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

export function* coverSteps(input: CoverInput): Generator<undefined, CoverResult> {
  const first = yield* attempt(input, "as-ordered");
  const open = uncovered(first);
  if (open === 0 || !first.pools.some((pool) => pool.titles > 1 || pool.secondDevice)) return yield* told(input, first);
  const second = yield* attempt(input, "own-first");
  return yield* told(input, uncovered(second) < open ? second : first);
}

function* attempt(input: CoverInput, order: "as-ordered" | "own-first"): Generator<undefined, Ledger> {
  const ledger = yield* createLedger(input);
  const { pools } = ledger;
  allocate(ledger, input);
  const suites = pools.filter((pool) => pool.titles > 1).sort((a, b) => b.titles - a.titles || compare(a.code, b.code));
  const single = pools.filter((pool) => pool.titles === 1);
  // Whatever can do least else goes first.
  const own = (order === "own-first" ? [...pools] : single).sort(
    (a, b) =>
      Number(b.unlimited) - Number(a.unlimited) ||
      a.rights.size - b.rights.size ||
      Number(a.secondDevice) - Number(b.secondDevice) ||
      compare(a.code, b.code),
  );
  const steps: readonly (readonly [readonly Pool[], Filter])[] =
    order === "own-first"
      ? [[own, "own"], [suites, "any"], [single, "any"]] // prettier-ignore
      : [[suites, "any"], [single, "pairs"], [own, "own"], [single, "any"]]; // prettier-ignore
  for (const [which, filter] of steps)
    for (const pool of which) {
      if (filter === "pairs" && !pool.secondDevice) continue;
      yield* assign(ledger, input, pool, filter);
    }
  yield* augment(ledger, secondPlaces(ledger, input));
  return ledger;
}

/** own: consumers that have the licence itself · any: all it reaches · pairs: only people with a free second device. */
type Filter = "own" | "any" | "pairs";

interface Bundle {
  readonly consumer: number;
  readonly places: readonly number[];
  readonly own: boolean;
  second: Bundle | undefined;
}

/** Takes slots from one pool for as many as it can serve: those it does most for first. */
function* assign(ledger: Ledger, input: CoverInput, pool: Pool, filter: Filter): Generator<undefined, void> {
  if (pool.left <= 0 && !pool.unlimited && !pool.secondDevice) return;
  const found = new Map<number, { consumer: number; places: number[]; own: boolean; second: undefined }>();
  let count = 0;
  for (const license of pool.rights.keys())
    for (const place of ledger.of(license)) {
      if (++count % stride === 0) yield;
      if (ledger.slotOf[place] !== undefined || ledger.isNeedless(place) || !ledger.reaches(pool, place)) continue;
      const consumer = ledger.consumerOf(pool, place);
      const own = license === pool.license;
      const there = found.get(consumer);
      // Its own licence is looked at first, so whoever has none of it is not found yet.
      if (there === undefined) {
        if (filter === "any" || own) found.set(consumer, { consumer, places: [place], own, second: undefined });
      } else there.places.push(place);
    }
  let bundles: Bundle[] = [...found.values()];
  if (pool.secondDevice) bundles = paired(ledger, input, pool, bundles);
  if (filter === "pairs") bundles = bundles.filter(({ second }) => second !== undefined);
  if (bundles.length === 0) return;
  yield;
  for (const bucket of ranked(ledger, pool, bundles))
    for (const { consumer, places, second } of bucket) {
      if (++count % stride === 0) yield;
      if (!ledger.place(pool, consumer, places)) continue;
      const slot = pool.slots.get(consumer) as Slot;
      if (second !== undefined && slot.second.length === 0) ledger.placeSecond(slot, second.places);
    }
}

/** Those served most by one copy first; among equals those who have the licence itself, then devices in their order, cheap ones first. */
function ranked(ledger: Ledger, pool: Pool, bundles: readonly Bundle[]): readonly (readonly Bundle[])[] {
  if (pool.unlimited || pool.left >= bundles.length * maxCost(ledger, pool, bundles)) return [bundles];
  const buckets: Bundle[][] = [];
  for (const bundle of bundles) {
    const at = 2 * (bundle.places.length + (bundle.second?.places.length ?? 0)) + Number(bundle.own);
    (buckets[at] ??= []).push(bundle);
  }
  const costs = new Map<Bundle, number>();
  if (pool.metric === "core" || pool.metric === "processor")
    for (const bundle of bundles) costs.set(bundle, ledger.costOf(pool, bundle.consumer, bundle.places));
  return buckets
    .filter((bucket) => bucket !== undefined)
    .reverse()
    .map((bucket) => bucket.sort((a, b) => (costs.get(a) ?? 0) - (costs.get(b) ?? 0) || a.consumer - b.consumer));
}

function maxCost(ledger: Ledger, pool: Pool, bundles: readonly Bundle[]): number {
  let most = 0;
  for (const { consumer, places } of bundles) most = Math.max(most, ledger.costOf(pool, consumer, places));
  return most;
}

/**
 * People's devices two by two: the first pays, the second - portable, and neither of them virtual - is free. A first device that is covered already
 * takes its second at once.
 */
function paired(ledger: Ledger, input: CoverInput, pool: Pool, bundles: readonly Bundle[]): Bundle[] {
  const people = new Map<number, Bundle[]>();
  const out: Bundle[] = [];
  for (const bundle of bundles) {
    const employee = ledger.employeeOf(bundle.places[0] as number);
    if (employee === undefined) out.push(bundle);
    else {
      const list = people.get(employee);
      if (list === undefined) people.set(employee, [bundle]);
      else list.push(bundle);
    }
  }
  const most = (a: Bundle, b: Bundle): number => b.places.length - a.places.length || a.consumer - b.consumer;
  for (const [employee, devices] of people) {
    const waiting = (pool.byEmployee.get(employee) ?? []).filter(
      (slot) => slot.second.length === 0 && canBe(ledger, input, slot.installations[0] as number).first,
    );
    if (devices.length === 1 && waiting.length === 0) {
      out.push(devices[0] as Bundle);
      continue;
    }
    const able = devices.map((bundle) => ({ bundle, ...canBe(ledger, input, bundle.places[0] as number) }));
    const portable = able.filter(({ second }) => second).map(({ bundle }) => bundle).sort(most); // prettier-ignore
    for (const slot of waiting) {
      const second = portable.shift();
      if (second !== undefined) ledger.placeSecond(slot, second.places);
    }
    const firsts = able.filter(({ first, second }) => first && !second).map(({ bundle }) => bundle).sort(most); // prettier-ignore
    for (const first of firsts) out.push({ ...first, second: portable.shift() });
    for (let first = portable.shift(); first !== undefined; first = portable.shift())
      out.push({ ...first, second: portable.shift() });
    out.push(...able.filter(({ first }) => !first).map(({ bundle }) => bundle));
  }
  return out.sort((a, b) => a.consumer - b.consumer);
}

function canBe(ledger: Ledger, input: CoverInput, place: number): { first: boolean; second: boolean } {
  const traits = input.traits?.(deviceAt(ledger, place)) ?? { portable: false, virtual: false };
  return { first: !traits.virtual, second: traits.portable && !traits.virtual };
}

function deviceAt(ledger: Ledger, place: number): number {
  return (ledger.installations[place] as Installation).device;
}

/** For augmenting: the slot that this installation could be the second device of. */
function secondPlaces(ledger: Ledger, input: CoverInput): (pool: Pool, place: number) => Slot | undefined {
  return (pool, place) => {
    const employee = pool.secondDevice ? ledger.employeeOf(place) : undefined;
    if (employee === undefined || !canBe(ledger, input, place).second) return undefined;
    return pool.byEmployee
      .get(employee)
      ?.find(
        (slot) =>
          slot.second.length === 0 &&
          deviceAt(ledger, slot.installations[0] as number) !== deviceAt(ledger, place) &&
          canBe(ledger, input, slot.installations[0] as number).first,
      );
  };
}

/** Allocations to devices first, then those to people; the older first. */
function allocate(ledger: Ledger, input: CoverInput): void {
  if (input.allocations.length === 0) return;
  const byDevice = new Map<number, number[]>();
  const byEmployee = new Map<number, number[]>();
  ledger.installations.forEach(({ device, employee }, place) => {
    push(byDevice, device, place);
    if (employee !== null && employee !== 0) push(byEmployee, employee, place);
  });
  for (const allocation of inTurn(input.allocations)) {
    const there =
      allocation.device === undefined
        ? (byEmployee.get(allocation.employee ?? -1) ?? [])
        : (byDevice.get(allocation.device) ?? []);
    const pools = ledger.pools
      .filter(({ license }) => license === allocation.license)
      .sort((a, b) => Number(has(b, allocation.entitlement)) - Number(has(a, allocation.entitlement)));
    let left = allocation.quantity;
    for (const pool of pools) {
      const wanted = new Map<number, number[]>();
      for (const place of there)
        if (ledger.slotOf[place] === undefined && !ledger.isNeedless(place) && ledger.reaches(pool, place))
          push(wanted, ledger.consumerOf(pool, place), place);
      const ownFirst = [...wanted].sort(
        ([a, x], [b, y]) =>
          Number(hasOwn(ledger, pool, y)) - Number(hasOwn(ledger, pool, x)) || y.length - x.length || a - b,
      );
      for (const [consumer, places] of ownFirst) {
        const cost = ledger.costOf(pool, consumer, places);
        if (cost > left || pool.slots.has(consumer)) continue;
        if (ledger.place(pool, consumer, places, allocationOf(allocation))) left -= cost;
      }
    }
  }
}

function allocationOf(allocation: Allocation): { allocation: string; entitlement?: string | undefined } {
  return { allocation: allocation.id, entitlement: allocation.entitlement };
}

function inTurn(allocations: readonly Allocation[]): readonly Allocation[] {
  return [...allocations].sort(
    (a, b) =>
      Number(a.device === undefined) - Number(b.device === undefined) || a.since - b.since || compare(a.id, b.id),
  );
}

function has(pool: Pool, entitlement: string | undefined): boolean {
  return entitlement !== undefined && pool.sources.some(({ id }) => id === entitlement);
}

function hasOwn(ledger: Ledger, pool: Pool, places: readonly number[]): boolean {
  return places.some((place) => ledger.installations[place]?.license === pool.license);
}

function uncovered(ledger: Ledger): number {
  let count = 0;
  for (let place = 0; place < ledger.slotOf.length; place++) if (ledger.isOpen(place)) count++;
  return count;
}

function* told(input: CoverInput, ledger: Ledger): Generator<undefined, CoverResult> {
  const { installations, slotOf } = ledger;
  const outOfDate = new Set<number>();
  for (const { license, validity, reach } of input.entitlements)
    if (validity !== "valid") for (const one of [license, ...reach.licenses.keys()]) outOfDate.add(one);
  const reachable = new Set(ledger.pools.flatMap((pool) => [...pool.rights.keys()]));
  const coverOf = (place: number): Covered | UncoveredReason => {
    const { license } = installations[place] as Installation;
    const slot = slotOf[place];
    if (slot !== undefined)
      return {
        entitlements: slot.from.map(({ source }) => source.id),
        license: slot.pool.license,
        right: slot.pool.rights.get(license) as CoverRight,
        ...(slot.allocation !== undefined && { allocation: slot.allocation }),
        ...(slot.second.includes(place) && { secondTo: deviceAt(ledger, slot.installations[0] as number) }),
      };
    if (ledger.isNeedless(place)) return "not-counted";
    if (isUnlimited(ledger.metricOf(license))) return { entitlements: [], license, right: "direct" };
    return reachable.has(license) ? "used-up" : outOfDate.has(license) ? "not-valid" : "no-entitlement";
  };

  /** People whom nothing covers are counted once, on however many devices: by their first. */
  const people = new Map<number, number[]>();
  const firstOf = new Map<string, number[]>();
  for (let place = 0; place < installations.length; place++) {
    if (place % stride === 0) yield;
    const { license, department, employee } = installations[place] as Installation;
    if (slotOf[place] !== undefined || employee === null || ledger.metricOf(license) !== "user") continue;
    const key = `${employee}:${department}:${license}`;
    const known = firstOf.get(key);
    if (known !== undefined) known.push(place);
    else {
      const made = [place];
      firstOf.set(key, made);
      people.set(place, made);
    }
  }
  function* consumptions(): Generator<Consumption> {
    for (let place = 0; place < installations.length; place++) {
      const slot = slotOf[place];
      const { license, department, employee, units } = installations[place] as Installation;
      if (slot === undefined) {
        const counted = people.get(place);
        if (ledger.isNeedless(place)) continue;
        if (employee === null || ledger.metricOf(license) !== "user")
          yield { license, department, units, installations: [place], entitlements: [] };
        else if (counted !== undefined)
          yield { license, department, units: 1, installations: counted, entitlements: [] };
      } else if (slot.installations[0] === place)
        yield {
          license: slot.pool.license,
          department,
          units: slot.cost,
          installations: slot.second.length === 0 ? slot.installations : [...slot.installations, ...slot.second],
          entitlements: slot.from.map(({ source, units: taken }) => ({ id: source.id, units: taken })),
          ...(slot.allocation !== undefined && { allocation: slot.allocation }),
        };
    }
  }
  const all = { [Symbol.iterator]: consumptions };
  return { installations, coverOf, consumptions: all, allocations: yield* allocated(input, installations, all) };
}

/**
 * What of the allocated is in use: each copy in use of a licence counts for one allocation of it to its device or person, at most as many as allocated.
 * So used = allocated in use + not allocated in use, and allocated = in use + not in use.
 */
function* allocated(
  input: CoverInput,
  installations: readonly Installation[],
  consumptions: Iterable<Consumption>,
): Generator<undefined, ReadonlyMap<number, AllocationTotals>> {
  const totals = new Map<number, { inUse: number; notInUse: number }>();
  if (input.allocations.length === 0) return totals;
  const left = new Map<string, { quantity: number }[]>();
  for (const { license, device, employee, quantity } of inTurn(input.allocations)) {
    const total = totals.get(license);
    if (total === undefined) totals.set(license, { inUse: 0, notInUse: quantity });
    else total.notInUse += quantity;
    push(left, device === undefined ? `${license}:e${employee}` : `${license}:d${device}`, { quantity });
  }
  let count = 0;
  for (const { license, units, installations: places } of consumptions) {
    if (++count % stride === 0) yield;
    const total = totals.get(license);
    if (total === undefined) continue;
    const keys = new Set<string>();
    for (const place of places) keys.add(`${license}:d${(installations[place] as Installation).device}`);
    const { employee } = installations[places[0] as number] as Installation;
    if (employee !== null && employee !== 0) keys.add(`${license}:e${employee}`);
    let wanted = units;
    for (const key of keys)
      for (const allocation of left.get(key) ?? []) {
        const taken = Math.min(wanted, allocation.quantity);
        allocation.quantity -= taken;
        wanted -= taken;
        total.inUse += taken;
        total.notInUse -= taken;
      }
  }
  return totals;
}

function push<K, T>(map: Map<K, T[]>, key: K, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
