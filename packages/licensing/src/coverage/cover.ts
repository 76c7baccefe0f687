/**
 * Purpose: which entitlement covers which installation (domain.md §5; issue 3): allocations to devices and people come first; then licences that
 * cover several titles, most titles first; then single ones - a licence's own copies before those that may run another version, people with a free
 * second device before the rest; what is left is excess.
 * Invariants: no entitlement gives more units than it has; an installation is covered once at most; what is used is what was consumed; the order of
 * the input decides nothing (ties: licence code, entitlement id, device). Nothing stays uncovered while an entitlement that reaches it is left over:
 * where the fixed order used up what only another could do without, installations change places (augment.ts). Attached rights never make things
 * worse: where the fixed order would leave more uncovered than serving each licence by its own entitlements first, the latter is taken.
 * Machines counted by cores or processors are covered whole, as many as can be, the small ones first; what is left over covers parts of the others.
 * Where it deliberately is not the best possible: allocations that are in use stay where they are, a machine counted by cores or processors keeps its
 * place, and with suites of several titles the best is not searched for (that would not end in time).
 * An allocation of something that is not there keeps nobody else from using it: it comes first, when it comes.
 * Long: `coverSteps` yields so that its caller may let others run.
 */
import { augment } from "./augment.ts";
import { createLedger, isByHardware, stride, type Ledger, type Pool, type Slot } from "./ledger.ts";
import { compare, inTurn, push } from "./order.ts";
import { told } from "./told.ts";
import type { Allocation, CoverInput, CoverResult, Installation } from "./types.ts";

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
  yield* fill(ledger);
  return ledger;
}

/** What is left over goes to parts of machines: own copies before rights. */
function* fill(ledger: Ledger): Generator<undefined, void> {
  const pools = ledger.pools.filter(({ metric, unlimited }) => isByHardware(metric) && !unlimited);
  pools.sort((a, b) => a.rights.size - b.rights.size);
  for (let place = 0; place < ledger.slotOf.length && pools.length > 0; place++) {
    if (place % stride === 0) yield;
    if (!ledger.isOpen(place)) continue;
    const { license } = ledger.installations[place] as Installation;
    for (const own of [true, false])
      for (const pool of pools) if ((pool.license === license) === own) ledger.placePart(pool, place, Infinity);
  }
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
      if (!ledger.isUnplaced(place) || !ledger.reaches(pool, place)) continue;
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
  const traits = input.traits?.(ledger.deviceAt(place)) ?? { portable: false, virtual: false };
  return { first: !traits.virtual, second: traits.portable && !traits.virtual };
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
          ledger.deviceAt(slot.installations[0] as number) !== ledger.deviceAt(place) &&
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
        if (ledger.isUnplaced(place) && ledger.reaches(pool, place))
          push(wanted, ledger.consumerOf(pool, place), place);
      const ownFirst = [...wanted].sort(
        ([a, x], [b, y]) =>
          Number(hasOwn(ledger, pool, y)) - Number(hasOwn(ledger, pool, x)) || y.length - x.length || a - b,
      );
      for (const [consumer, places] of ownFirst) {
        const cost = ledger.costOf(pool, consumer, places);
        if (pool.slots.has(consumer)) continue;
        if (cost <= left && ledger.place(pool, consumer, places, allocationOf(allocation))) left -= cost;
        // Too few for the whole machine are for some of it.
        else left -= ledger.placePart(pool, places[0] as number, left, allocationOf(allocation));
      }
    }
  }
}

function allocationOf(allocation: Allocation): { allocation: string; entitlement?: string | undefined } {
  return { allocation: allocation.id, entitlement: allocation.entitlement };
}

function has(pool: Pool, entitlement: string | undefined): boolean {
  return entitlement !== undefined && pool.sources.some(({ id }) => id === entitlement);
}

function hasOwn(ledger: Ledger, pool: Pool, places: readonly number[]): boolean {
  return places.some((place) => ledger.installations[place]?.license === pool.license);
}

/** Units. */
function uncovered(ledger: Ledger): number {
  let units = 0;
  for (let place = 0; place < ledger.slotOf.length; place++) if (ledger.isOpen(place)) units += ledger.missingAt(place);
  return units;
}
