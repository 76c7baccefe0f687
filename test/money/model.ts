/**
 * Purpose: what the numbers of a company must be, worked out from nothing but the facts, by rules so plain that they can be read in minutes: domain.md
 * §3 (used, held, rights), §5 (who a user licence counts), §6 (people and departments that change), §7 (the purchase run).
 * Licences: `@D` counts devices, `@U` people, `@A` is a site licence that is never short. What a device has installed are titles; under the second
 * version of the policy another title stands for `@D`.
 */
export const licenses = ["@D", "@U", "@A"] as const;
export type License = (typeof licenses)[number];
export const titles = [...licenses, "X"] as const;
export const price: Record<License, number> = { "@D": 1000, "@U": 333, "@A": 1 };

export interface Device {
  readonly id: string;
  employee: string | undefined;
  department: string | undefined;
  /** Its user left, and nobody has said yet who gets it. */
  handedOver: boolean;
  titles: ReadonlySet<string>;
  /** When it reported last. */
  reported: number;
}

export interface Entitlement {
  readonly id: string;
  readonly license: License;
  quantity: number;
  /** Days (ISO dates, UTC), both included. */
  readonly from?: string;
  readonly until?: string;
}

export interface Application {
  readonly id: string;
  department: string;
  readonly license: License;
  outstanding: number;
}

export interface Order {
  readonly license: License;
  readonly quantity: number;
  readonly amount: number;
  readonly costs: ReadonlyMap<string, number>;
}

export const unassigned = "unassigned";

export function createModel() {
  /** Department → the one above. */
  const parents = new Map<string, string | undefined>();
  /** Employee → department. */
  const employees = new Map<string, string | undefined>();
  const left = new Set<string>();
  const devices = new Map<string, Device>();
  const rights = new Map<string, number>();
  const allocations = new Map<string, { device: string; readonly license: License }>();
  const entitlements: Entitlement[] = [];
  const applications: Application[] = [];
  let otherPolicy = false;

  const key = (department: string, license: License): string => `${department} ${license}`;
  const rightsOf = (department: string, license: License): number => rights.get(key(department, license)) ?? 0;
  const addRights = (department: string, license: License, by: number): void =>
    void rights.set(key(department, license), rightsOf(department, license) + by);
  const departmentOf = ({ employee, department }: Device): string =>
    (employee === undefined ? undefined : employees.get(employee)) ?? department ?? unassigned;
  const uses = (device: Device, license: License): boolean =>
    device.titles.has(license === "@D" && otherPolicy ? "X" : license);
  const codes = (): string[] => [...parents.keys(), unassigned];
  const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, n) => total + n, 0);

  const used = (department: string, license: License): number => {
    const counted = new Set<string>();
    for (const device of devices.values()) {
      if (!uses(device, license) || departmentOf(device) !== department) continue;
      if (license === "@U" && device.handedOver) continue;
      counted.add(license === "@U" && device.employee !== undefined ? device.employee : `device ${device.id}`);
    }
    return counted.size;
  };
  const requested = (department: string, license: License): number =>
    sum(applications.filter((a) => a.department === department && a.license === license).map((a) => a.outstanding));
  const held = (license: License, day: string): number =>
    sum(
      entitlements
        .filter((e) => e.license === license && (e.from ?? day) <= day && (e.until ?? day) >= day)
        .map((e) => e.quantity),
    );
  /** As many rights go with what moves as of it is in use, at most what there are. */
  const taking = (from: readonly string[], to: string, change: () => void): void => {
    const before = from.map((code) => licenses.map((license) => used(code, license)));
    change();
    from.forEach((code, i) =>
      licenses.forEach((license, j) => {
        const goes = Math.min(rightsOf(code, license), Math.max(0, (before[i]?.[j] ?? 0) - used(code, license)));
        addRights(code, license, -goes);
        addRights(to, license, goes);
      }),
    );
  };
  /** A department and all below it. */
  const below = (code: string): Set<string> => {
    const found = new Set([code]);
    for (let size = 0; size !== found.size;) {
      size = found.size;
      for (const [child, parent] of parents) if (parent !== undefined && found.has(parent)) found.add(child);
    }
    return found;
  };
  /** Everything of `from` is `to`'s, and `from` is gone. */
  const moveAll = (from: string, to: string): void => {
    // One that takes over what lies above it takes its place.
    if (below(from).has(to)) parents.set(to, parents.get(from));
    for (const [code, parent] of parents) if (parent === from && code !== to) parents.set(code, to);
    for (const [id, department] of employees) if (department === from) employees.set(id, to);
    for (const device of devices.values()) if (device.department === from) device.department = to;
    for (const application of applications) if (application.department === from) application.department = to;
    for (const license of licenses) {
      addRights(to, license, rightsOf(from, license));
      rights.delete(key(from, license));
    }
    parents.delete(from);
  };

  return {
    parents,
    employees,
    left,
    devices,
    rights,
    allocations,
    entitlements,
    applications,
    codes,
    uses,
    used,
    requested,
    held,
    rightsOf,
    addRights,
    moveAll,
    below,
    setRights: (department: string, license: License, n: number) => void rights.set(key(department, license), n),
    total: (what: (department: string, license: License) => number, license: License) =>
      sum(codes().map((code) => what(code, license))),
    get otherPolicy() {
      return otherPolicy;
    },
    changePolicy: () => void (otherPolicy = !otherPolicy),
    hire(id: string, department: string | undefined): void {
      left.delete(id);
      employees.set(id, department);
    },
    leave(employee: string): void {
      const last = employees.get(employee);
      for (const device of devices.values())
        if (device.employee === employee)
          Object.assign(device, { employee: undefined, department: device.department ?? last, handedOver: true });
      employees.delete(employee);
      left.add(employee);
    },
    move(people: readonly string[], to: string | undefined, withRights = false): void {
      const from = [...new Set(people.map((id) => employees.get(id) ?? unassigned))].filter((code) => code !== to);
      const change = (): void => people.forEach((id) => employees.set(id, to));
      if (withRights && to !== undefined) taking(from, to, change);
      else change();
    },
    split(
      from: string,
      to: string,
      parts: {
        readonly employees: readonly string[];
        readonly devices: readonly string[];
        readonly children: readonly string[];
      },
      given?: { readonly license: License; readonly rights: number },
    ): void {
      const change = (): void => {
        if (!parents.has(to)) parents.set(to, parents.get(from));
        for (const id of parts.employees) employees.set(id, to);
        for (const id of parts.devices) (devices.get(id) as Device).department = to;
        for (const code of parts.children) parents.set(code, to);
      };
      if (given === undefined) return taking([from], to, change);
      change();
      addRights(from, given.license, -given.rights);
      addRights(to, given.license, given.rights);
    },
    rename(from: string, to: string): void {
      parents.set(to, parents.get(from));
      moveAll(from, to);
    },
    /** One machine: what reported last is what it has, `from` is gone, what was allocated follows once. */
    mergeDevices(keep: Device, from: Device): void {
      if (from.reported > keep.reported) Object.assign(keep, { titles: from.titles, reported: from.reported });
      devices.delete(from.id);
      for (const [id, allocation] of allocations) {
        if (allocation.device !== from.id) continue;
        const there = [...allocations.values()].some((a) => a.device === keep.id && a.license === allocation.license);
        if (there) allocations.delete(id);
        else allocation.device = keep.id;
      }
    },
    /** Idle rights first: what the company has given to nobody, then what others neither use nor await. Answers what is left to request. */
    takeIdle(department: string, license: License, quantity: number, day: string): number {
      const claimed = sum(codes().map((code) => Math.max(rightsOf(code, license), used(code, license))));
      const free = Math.min(quantity, Math.max(0, held(license, day) - claimed));
      addRights(department, license, free);
      let rest = quantity - free;
      const others = codes()
        .filter((code) => code !== department)
        .map((code) => ({ code, idle: rightsOf(code, license) - used(code, license) - requested(code, license) }))
        .sort((a, b) => b.idle - a.idle || (a.code < b.code ? -1 : 1));
      for (const { code, idle } of others) {
        const taken = Math.max(0, Math.min(idle, rest));
        addRights(code, license, -taken);
        addRights(department, license, taken);
        rest -= taken;
      }
      return rest;
    },
    /** domain.md §7 for what is bought. Answers what was ordered. */
    purchase(license: License, day: string, order: (quantity: number) => string): Order | undefined {
      const all = codes().map((code) => ({ code, used: used(code, license), rights: rightsOf(code, license) }));
      const quantity = Math.max(0, sum(all.map((d) => d.used)) - held(license, day));
      const corrected = all.map((d) => [d.code, Math.max(0, d.used - d.rights)] as const);
      for (const { code, used: n } of all) rights.set(key(code, license), n);
      for (const [code, granted] of corrected) {
        let rest = granted;
        for (const application of applications)
          if (application.department === code && application.license === license) {
            const settled = Math.min(rest, application.outstanding);
            application.outstanding -= settled;
            rest -= settled;
          }
      }
      if (quantity === 0) return undefined;
      entitlements.push({ id: order(quantity), license, quantity });
      const amount = quantity * price[license];
      const costs = shares(amount, corrected.filter(([, n]) => n > 0)); // prettier-ignore
      return { license, quantity, amount, costs };
    },
  };
}
export type Model = ReturnType<typeof createModel>;

/** Largest remainder, ties in the order of the codes; amounts are small here. */
function shares(amount: number, weights: readonly (readonly [string, number])[]): Map<string, number> {
  const sum = weights.reduce((total, [, weight]) => total + weight, 0);
  const parts = weights.map(([code, weight]) => ({ code, whole: Math.floor((amount * weight) / sum), rest: (amount * weight) % sum })); // prettier-ignore
  let left = amount - parts.reduce((total, { whole }) => total + whole, 0);
  for (const part of [...parts].sort((a, b) => b.rest - a.rest || (a.code < b.code ? -1 : 1)))
    if (left-- > 0) part.whole++;
  return new Map(parts.flatMap(({ code, whole }) => (whole > 0 ? [[code, whole] as const] : [])));
}
