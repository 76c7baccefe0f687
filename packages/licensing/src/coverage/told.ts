/**
 * Purpose: what was worked out, told: which entitlement covers each installation or why none does, what counts as used, and how much of what is
 * allocated is in use.
 * Invariants: Σ units of the consumptions of an installation is what it needs, whether covered whole, in parts or not at all.
 */
import { isUnlimited } from "../entitlement.ts";
import { serves, stride, type Ledger, type Part, type Slot } from "./ledger.ts";
import { inTurn, push } from "./order.ts";
import type {
  AllocationUse,
  Consumption,
  Covered,
  CoveredPart,
  CoverInput,
  CoverResult,
  CoverRight,
  Installation,
  UncoveredReason,
} from "./types.ts";

export function* told(input: CoverInput, ledger: Ledger): Generator<undefined, CoverResult> {
  const { installations, slotOf } = ledger;
  const outOfDate = new Set<number>();
  for (const { license, validity, reach } of input.entitlements)
    if (validity !== "valid") for (const one of [license, ...reach.licenses.keys()]) outOfDate.add(one);
  const [reachable, named] = [new Set<number>(), new Set<number>()];
  for (const pool of ledger.pools)
    for (const license of pool.rights.keys()) (serves(pool, ledger.metricOf(license)) ? reachable : named).add(license);
  const coverOf = (place: number): Covered | UncoveredReason => {
    const { license } = installations[place] as Installation;
    const slot = slotOf[place];
    const [first, ...others] = partsOf(place);
    if (first !== undefined && (slot !== undefined || ledger.missingAt(place) === 0)) {
      const { units: _, ...by } = first;
      const entitlements = [...new Set([...by.entitlements, ...others.flatMap((part) => part.entitlements)])];
      const isSecond = slot?.second.includes(place) === true;
      return {
        ...by,
        entitlements,
        ...(isSecond && { secondTo: ledger.deviceAt(slot.installations[0] as number) }),
      };
    }
    if (ledger.isNeedless(place)) return "not-counted";
    if (isUnlimited(ledger.metricOf(license))) return { entitlements: [], license, right: "direct" };
    if (reachable.has(license)) return "used-up";
    return outOfDate.has(license) ? "not-valid" : named.has(license) ? "other-metric" : "no-entitlement";
  };
  const partsOf = (place: number): readonly CoveredPart[] => {
    const { license, units } = installations[place] as Installation;
    const slot = slotOf[place];
    const parts = ledger.parts.get(place) ?? [];
    const whole =
      slot === undefined ? [] : [{ ...slot, units: units - parts.reduce((sum, part) => sum + part.units, 0) }];
    return [...whole, ...parts].map(({ pool, units: some, from, allocation }) => ({
      license: pool.license,
      right: pool.rights.get(license) as CoverRight,
      units: some,
      entitlements: from.map(({ source }) => source.id),
      ...(allocation !== undefined && { allocation }),
    }));
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
  /** A machine that is covered in parts counts as used of each licence that gives one, and the rest of its own. */
  function* inParts(place: number): Generator<Consumption> {
    const { license: own, department } = installations[place] as Installation;
    const slot = slotOf[place];
    const shares = new Map<number, Consumption>();
    const add = (license: number, share: Pick<Consumption, "units" | "entitlements" | "allocation">): void => {
      const { units, entitlements, ...more } = shares.get(license) ?? {
        units: 0,
        entitlements: [],
        department,
        license,
        installations: slot?.pool.license === license ? slot.installations : [place],
      };
      const { allocation } = share;
      shares.set(license, {
        ...more,
        units: units + share.units,
        entitlements: [...entitlements, ...share.entitlements],
        ...(allocation !== undefined && { allocation }),
      });
    };
    const given = (from: Slot["from"] | Part["from"]): Consumption["entitlements"] =>
      from.map(({ source, units }) => ({ id: source.id, units }));
    if (slot?.installations[0] === place)
      add(slot.pool.license, { units: slot.cost, entitlements: given(slot.from), ...of(slot) });
    for (const part of ledger.parts.get(place) ?? [])
      add(part.pool.license, { units: part.units, entitlements: given(part.from), ...of(part) });
    const missing = slot === undefined ? ledger.missingAt(place) : 0;
    if (missing > 0) add(own, { units: missing, entitlements: [] });
    yield* shares.values();
  }
  function* consumptions(): Generator<Consumption> {
    for (let place = 0; place < installations.length; place++) {
      if (ledger.parts.has(place)) {
        yield* inParts(place);
        continue;
      }
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
  return {
    installations,
    coverOf,
    partsOf,
    consumptions: all,
    allocations: yield* allocated(input, installations, all),
  };
}

function of({ allocation }: Pick<Slot, "allocation">): Pick<Consumption, "allocation"> {
  return allocation === undefined ? {} : { allocation };
}

/**
 * What of the allocated is in use: each copy in use of a licence counts for one allocation of it to its device or person, at most as many as allocated.
 * So used = allocated in use + not allocated in use, and allocated = in use + not in use.
 */
function* allocated(
  input: CoverInput,
  installations: readonly Installation[],
  consumptions: Iterable<Consumption>,
): Generator<undefined, ReadonlyMap<number, AllocationUse>> {
  const totals = new Map<
    number,
    { inUse: number; notInUse: number; of: Map<string, number>; at: Map<number, number> }
  >();
  if (input.allocations.length === 0) return totals;
  const left = new Map<string, { readonly id: string; quantity: number }[]>();
  for (const { id, license, device, employee, quantity } of inTurn(input.allocations)) {
    const total = totals.get(license);
    if (total === undefined) totals.set(license, { inUse: 0, notInUse: quantity, of: new Map(), at: new Map() });
    else total.notInUse += quantity;
    push(left, device === undefined ? `${license}:e${employee}` : `${license}:d${device}`, { id, quantity });
  }
  let count = 0;
  for (const { license, units, installations: places } of consumptions) {
    if (++count % stride === 0) yield;
    const total = totals.get(license);
    if (total === undefined) continue;
    const keys = new Set<string>();
    for (const place of places) keys.add(`${license}:d${(installations[place] as Installation).device}`);
    const first = places[0] as number;
    const { employee } = installations[first] as Installation;
    if (employee !== null && employee !== 0) keys.add(`${license}:e${employee}`);
    let wanted = units;
    for (const key of keys)
      for (const allocation of left.get(key) ?? []) {
        const taken = Math.min(wanted, allocation.quantity);
        if (taken === 0) continue;
        allocation.quantity -= taken;
        wanted -= taken;
        total.inUse += taken;
        total.notInUse -= taken;
        total.of.set(allocation.id, (total.of.get(allocation.id) ?? 0) + taken);
        total.at.set(first, (total.at.get(first) ?? 0) + taken);
      }
  }
  return totals;
}
