/**
 * Purpose: what a licence auditor asks, as small companies with the answers worked out by hand from domain.md §3–§5 - never by this program.
 * Each stands for itself: licences, devices, people and departments have names of their own in each, so all can be put into one server at once.
 * Notation: a licence `A` is the code of a title `A`; `has` are titles; `positions` are [used, held, over/under]; `covered` says for `device licence`
 * the licence that it counts as used of and by which right, or why nothing covers it.
 */
export interface AuditMachine {
  readonly has: string;
  readonly user?: string;
  readonly department?: string;
  readonly hardware?: object;
}

export interface AuditPurchase {
  /** Its name in this vector. */
  readonly id?: string;
  readonly license: string;
  readonly quantity: number;
  readonly packSize?: number;
  readonly metric?: string;
  readonly rights?: string;
  /** Days from today (UTC), first and last on which it is valid. */
  readonly starts?: number;
  readonly expires?: number;
}

export interface AuditVector {
  readonly rule: string;
  /** Licences that are not counted by device: metric, and the metric rule that counts. */
  readonly metrics?: Readonly<Record<string, readonly [metric: string, count?: string]>>;
  /** Oldest first. */
  readonly path?: string;
  readonly machines: Readonly<Record<string, string | AuditMachine>>;
  readonly bought?: readonly (AuditPurchase | string)[];
  readonly allocated?: readonly {
    readonly license: string;
    readonly device?: string;
    readonly employee?: string;
    readonly quantity?: number;
    readonly entitlement?: string;
  }[];
  readonly positions: Readonly<Record<string, readonly [used: number, held: number, overUnder: number]>>;
  readonly covered?: Readonly<Record<string, string>>;
  /** Licence → [allocated in use, allocated not in use, not allocated in use]. */
  readonly allocations?: Readonly<Record<string, readonly [number, number, number]>>;
}

/** Terms as vendors publish them (licence-vectors.json names the sources), as a policy states them. */
export const auditMetrics = [
  { id: "ws-dc", count: "cores", minimum: { perProcessor: 8, perServer: 16, perVirtualMachine: 8 }, packSize: 2 },
  { id: "ws-std", count: "cores", minimum: { perProcessor: 8, perServer: 16, perVirtualMachine: 8 }, packSize: 2, stacking: 2 },
  { id: "sql", count: "cores", minimum: { perProcessor: 4, perVirtualMachine: 4 }, packSize: 2 },
  { id: "db-ee", count: "cores", unit: "processor", factors: [{ cpu: "*Xeon*", factor: 0.5 }, { cpu: "*SPARC T*", factor: 0.25 }, { cpu: "*Itanium*", factor: 1 }], factor: 1, virtual: "host" },
  { id: "db-ee-each", count: "cores", unit: "processor", factors: [{ cpu: "*Xeon*", factor: 0.5 }], factor: 1, rounding: { level: "processor" } },
  { id: "db-se", count: "processors" },
  { id: "pvu", count: "cores", unit: "value-unit", factors: [{ cpu: "*POWER10*S1022*", factor: 70 }, { cpu: "*Xeon*", factor: 70 }], factor: 120, virtual: "sub-capacity" },
] as const; // prettier-ignore

const cpu = (sockets: number, coresEach: number, more: object = {}): { hardware: object } => ({
  hardware: { cpu: { sockets, cores: sockets * coresEach }, ...more },
});
const xeon = (sockets: number, coresEach: number): { hardware: object } => ({
  hardware: { cpu: { model: "Intel(R) Xeon(R) Gold 6338", sockets, cores: sockets * coresEach } },
});
const vm = (cores: number, more: object = {}): { hardware: object } => ({
  hardware: { virtual: true, chassis: "vm", cpu: { sockets: 1, cores }, ...more },
});
const box = (chassis: string): { hardware: object } => ({ hardware: { chassis, virtual: chassis === "vm" } });

export const auditVectors: readonly AuditVector[] = [
  // Cores and processors
  {
    rule: "a processor with 6 cores counts 8, a machine at least 16",
    metrics: { W: ["core", "ws-dc"] },
    machines: { S1: { has: "W", ...cpu(1, 6) }, S2: { has: "W", ...cpu(2, 10) }, S3: { has: "W", ...cpu(4, 4) } },
    bought: [{ license: "W", quantity: 34, packSize: 2 }],
    positions: { W: [16 + 20 + 32, 68, 0] },
    covered: { "S1 W": "W direct", "S2 W": "W direct", "S3 W": "W direct" },
  },
  {
    rule: "one full licensing covers two virtual machines: five need it three times",
    metrics: { W: ["core", "ws-std"] },
    machines: { H: { has: "W", ...cpu(2, 10, { virtualMachines: 5 }) } },
    bought: [{ license: "W", quantity: 16, packSize: 2 }],
    positions: { W: [60, 32, -28] },
    covered: { "H W": "32 of 60" },
  },
  {
    rule: "virtual machines count their own cores, at least 8, in packs of 2",
    metrics: { W: ["core", "ws-dc"] },
    machines: { V1: { has: "W", ...vm(2) }, V2: { has: "W", ...vm(9) }, V3: { has: "W", ...vm(10) } },
    positions: { W: [8 + 10 + 10, 0, -28] },
    covered: { "V1 W": "no-entitlement" },
  },
  {
    rule: "a database counts 4 for each processor and each virtual machine at least",
    metrics: { Q: ["core", "sql"] },
    machines: {
      S1: { has: "Q", ...cpu(1, 2) },
      S2: { has: "Q", ...cpu(2, 2) },
      V1: { has: "Q", ...vm(3) },
      V2: { has: "Q", ...vm(7) },
    },
    bought: [{ license: "Q", quantity: 12, packSize: 2 }],
    positions: { Q: [4 + 8 + 4 + 8, 24, 0] },
  },
  {
    rule: "core factors: cores times factor, a begun processor counts whole; without a line for it a core counts one",
    metrics: { O: ["processor", "db-ee"] },
    machines: {
      S1: { has: "O", ...xeon(2, 18) },
      S2: { has: "O", ...xeon(1, 7) },
      S3: { has: "O", hardware: { cpu: { model: "SPARC T4", sockets: 1, cores: 6 } } },
      S4: { has: "O", hardware: { cpu: { model: "unheard of", sockets: 1, cores: 6 } } },
    },
    bought: [
      { license: "O", quantity: 20 },
      { license: "O", quantity: 10 },
    ],
    positions: { O: [18 + 4 + 2 + 6, 30, 0] },
  },
  {
    rule: "the level of rounding is data: per processor, two processors with 7 cores at 0.5 count 4 each",
    metrics: { O: ["processor", "db-ee"], P: ["processor", "db-ee-each"] },
    machines: { S1: { has: "O P", ...xeon(2, 7) } },
    positions: { O: [7, 0, -7], P: [8, 0, -8] },
  },
  {
    rule: "soft partitioning is no partitioning: a virtual machine needs the whole machine below, where it is known",
    metrics: { O: ["processor", "db-ee"] },
    machines: {
      V1: { has: "O", ...vm(2, { host: { cpu: { model: "Xeon E5", sockets: 2, cores: 24 } } }) },
      V2: { has: "O", ...vm(2) },
    },
    positions: { O: [12 + 2, 0, -14] },
  },
  {
    rule: "a standard edition counts sockets, whatever their cores",
    metrics: { E: ["processor", "db-se"] },
    machines: { S1: { has: "E", ...cpu(2, 32) }, S2: { has: "E", ...cpu(1, 4) } },
    bought: [{ license: "E", quantity: 2 }],
    positions: { E: [3, 2, -1] },
    covered: { "S1 E": "1 of 2", "S2 E": "E direct" },
  },
  {
    rule: "value units: the table, 120 for what is unknown; a virtual machine never more than its host",
    metrics: { I: ["core", "pvu"] },
    machines: {
      S1: { has: "I", hardware: { cpu: { model: "IBM POWER10 S1022", sockets: 1, cores: 16 } } },
      S2: { has: "I", ...cpu(1, 8) },
      V1: { has: "I", ...vm(64, { cpu: { model: "Xeon", sockets: 1, cores: 64 }, host: { cpu: { model: "Xeon", sockets: 1, cores: 4 } } }) },
    },
    positions: { I: [1120 + 960 + 280, 0, -2360] },
  }, // prettier-ignore
  {
    rule: "a machine that says nothing of its processors counts the minimum, never nothing",
    metrics: { W: ["core", "ws-dc"], O: ["processor", "db-ee"] },
    machines: { S1: "W O" },
    positions: { W: [16, 0, -16], O: [1, 0, -1] },
  },
  {
    rule: "24 cores cover a machine of 16 and half of another: short are 8 cores, not a machine",
    metrics: { W: ["core", "ws-dc"] },
    machines: { S1: { has: "W", ...cpu(2, 8) }, S2: { has: "W", ...cpu(2, 8) } },
    bought: [{ license: "W", quantity: 12, packSize: 2 }],
    positions: { W: [32, 24, -8] },
    covered: { "S1 W": "W direct", "S2 W": "8 of 16" },
  },
  {
    rule: "cores of two entitlements cover one machine together",
    metrics: { W: ["core", "ws-dc"] },
    machines: { S1: { has: "W", ...cpu(2, 16) } },
    bought: [
      { license: "W", quantity: 16 },
      { license: "W", quantity: 16, rights: "downgrade" },
    ],
    positions: { W: [32, 32, 0] },
    covered: { "S1 W": "W direct" },
  },
  {
    rule: "cores of a newer version cover what the older ones lack: nothing is bought while cores are left over",
    metrics: { Q19: ["core", "sql"], Q22: ["core", "sql"] },
    path: "Q19 Q22",
    machines: { S1: { has: "Q19", ...cpu(2, 8) } },
    bought: [{ license: "Q22", quantity: 4, packSize: 2, rights: "downgrade" }],
    positions: { Q22: [8, 8, 0], Q19: [8, 0, -8] },
    covered: { "S1 Q19": "8 of 16" },
  },
  {
    rule: "cores never cover processors",
    metrics: { C: ["core", "sql"], P: ["processor", "db-se"] },
    machines: { S1: { has: "P", ...cpu(1, 8) } },
    bought: [{ license: "C", quantity: 8, rights: "downgrade(P)" }],
    positions: { C: [0, 8, 8], P: [1, 0, -1] },
    covered: { "S1 P": "other-metric" },
  },
  {
    rule: "cores set aside for a machine go to it first, also where they are too few for all of it",
    metrics: { Q: ["core", "sql"] },
    machines: { S1: { has: "Q", ...cpu(2, 8) }, S2: { has: "Q", ...cpu(2, 4) } },
    bought: [{ license: "Q", quantity: 8 }],
    allocated: [{ license: "Q", device: "S1", quantity: 8 }],
    positions: { Q: [24, 8, -16] },
    covered: { "S1 Q": "8 of 16", "S2 Q": "used-up" },
    allocations: { Q: [8, 0, 16] },
  },

  // Dates
  {
    rule: "an expired subscription is worth 0, and never unlimited: a site licence neither",
    machines: { P1: "A B", P2: "A B" },
    bought: [
      { license: "A", quantity: 9, expires: -1 },
      { license: "B", metric: "site", quantity: 1, expires: -1 },
    ],
    positions: { A: [2, 0, -2], B: [2, 0, -2] },
    covered: { "P1 A": "not-valid", "P1 B": "not-valid" },
  },
  {
    rule: "valid on its first and on its last day, not before and not after",
    machines: { P1: "A B C D" },
    bought: [
      { license: "A", quantity: 1, starts: 0 },
      { license: "B", quantity: 1, starts: 1 },
      { license: "C", quantity: 1, expires: 0 },
      { license: "D", quantity: 1, starts: 0, expires: 0 },
    ],
    positions: { A: [1, 1, 0], B: [1, 0, -1], C: [1, 1, 0], D: [1, 1, 0] },
    covered: { "P1 A": "A direct", "P1 B": "not-valid", "P1 C": "C direct", "P1 D": "D direct" },
  },
  {
    rule: "of several entitlements only the valid ones count; renewal and predecessor are not both held",
    machines: { P1: "A", P2: "A" },
    bought: [
      { license: "A", quantity: 5, expires: -1 },
      { license: "A", quantity: 1, starts: 0, expires: 364 },
      { license: "A", quantity: 7, starts: 365 },
    ],
    positions: { A: [2, 1, -1] },
    covered: { "P1 A": "A direct", "P2 A": "used-up" },
  },
  {
    rule: "rights end with the entitlement that gives them",
    path: "V1 V2",
    machines: { P1: "V1" },
    bought: [{ license: "V2", quantity: 1, rights: "downgrade", expires: -1 }],
    positions: { V1: [1, 0, -1] },
    covered: { "P1 V1": "not-valid" },
  },
  {
    rule: "an allocation of an expired entitlement covers nothing, however firmly it was given",
    machines: { P1: "A" },
    bought: [{ id: "old", license: "A", quantity: 1, expires: -1 }],
    allocated: [{ license: "A", device: "P1", entitlement: "old" }],
    positions: { A: [1, 0, -1] },
    covered: { "P1 A": "not-valid" },
    allocations: { A: [1, 0, 0] },
  },

  // Device, user, site, free
  {
    rule: "one copy too many is short by one; what lies idle is over",
    machines: { P1: "A", P2: "A", P3: "B" },
    bought: ["A 1", "B 4"],
    positions: { A: [2, 1, -1], B: [1, 4, 3] },
    covered: { "P1 A": "A direct", "P2 A": "used-up" },
  },
  {
    rule: "a person counts once on three devices, a device without a person once, two people twice",
    metrics: { U: ["user"] },
    machines: {
      P1: { has: "U", user: "U1" },
      P2: { has: "U", user: "U1" },
      P3: { has: "U", user: "U1" },
      P4: { has: "U", user: "U2" },
      P5: "U",
    },
    bought: ["U 2"],
    positions: { U: [3, 2, -1] },
    covered: { "P1 U": "U direct", "P2 U": "U direct", "P3 U": "U direct" },
  },
  {
    rule: "a site licence counts and is never short; besides copies it makes them enough",
    metrics: { S: ["site"] },
    machines: { P1: "S A", P2: "S A", P3: "S A" },
    bought: [{ license: "S", quantity: 1 }, "A 1", { license: "A", quantity: 0, metric: "site" }],
    positions: { S: [3, 1, 0], A: [3, 1, 0] },
    covered: { "P3 S": "S direct", "P3 A": "A direct" },
  },
  {
    rule: "what is free is counted and never short, with nothing bought",
    metrics: { F: ["free"] },
    machines: { P1: "F", P2: "F" },
    positions: { F: [2, 0, 0] },
    covered: { "P1 F": "F direct" },
  },
  {
    rule: "packs: three packs of sixteen are forty-eight",
    machines: { P1: "A" },
    bought: [{ license: "A", quantity: 3, packSize: 16 }],
    positions: { A: [1, 48, 47] },
  },

  // Versions
  {
    rule: "with the right a newer version covers an older one, along the path only; without it nothing",
    path: "V1 V2 V3",
    machines: { P1: "V1", P2: "X", P3: "V2" },
    bought: ["V3 1 downgrade", "V3 1", "Y 1 downgrade"],
    positions: { V3: [1, 2, 1], V2: [1, 0, -1], X: [1, 0, -1], Y: [0, 1, 1] },
    covered: { "P1 V1": "V3 downgrade", "P2 X": "no-entitlement", "P3 V2": "used-up" },
  },
  {
    rule: "no right goes upward by itself: version 2 does not cover version 3, with downgrade or without",
    path: "V1 V2 V3",
    machines: { P1: "V3" },
    bought: ["V2 1 downgrade"],
    positions: { V2: [0, 1, 1], V3: [1, 0, -1] },
    covered: { "P1 V3": "no-entitlement" },
  },
  {
    rule: "maintenance: an upgrade covers every newer version",
    path: "V1 V2 V3",
    machines: { P1: "V3", P2: "V2" },
    bought: ["V1 2 upgrade"],
    positions: { V1: [2, 2, 0] },
    covered: { "P1 V3": "V1 upgrade", "P2 V2": "V1 upgrade" },
  },
  {
    rule: "both rights: every version",
    path: "V1 V2 V3",
    machines: { P1: "V1", P2: "V3" },
    bought: ["V2 2 upgrade|downgrade"],
    positions: { V2: [2, 2, 0] },
    covered: { "P1 V1": "V2 downgrade", "P2 V3": "V2 upgrade" },
  },
  {
    rule: "a right that names its licences leaves the path alone: N-1 only",
    path: "V1 V2 V3",
    machines: { P1: "V1", P2: "V2" },
    bought: ["V3 2 downgrade(V2)"],
    positions: { V3: [1, 2, 1], V1: [1, 0, -1] },
    covered: { "P1 V1": "no-entitlement", "P2 V2": "V3 downgrade" },
  },
  {
    rule: "the newest copies first to who runs the newest; a scarce one to who has no other",
    path: "V1 V2",
    machines: { P1: "V1", P2: "V2" },
    bought: ["V2 1 downgrade", "V1 1"],
    positions: { V1: [1, 1, 0], V2: [1, 1, 0] },
    covered: { "P1 V1": "V1 direct", "P2 V2": "V2 direct" },
  },
  {
    rule: "who changes places: the older copy moves to an own licence that only it can use",
    path: "V1 V2",
    machines: { P1: "V1", P2: "V1", P3: "V2" },
    bought: ["V2 2 downgrade", "V1 1"],
    positions: { V1: [1, 1, 0], V2: [2, 2, 0] },
  },

  // Second devices
  {
    rule: "desktop and notebook of one person are one, desktop and virtual machine two",
    machines: {
      D1: { has: "A", user: "U1", ...box("desktop") },
      L1: { has: "A", user: "U1", ...box("notebook") },
      D2: { has: "B", user: "U2", ...box("desktop") },
      M2: { has: "B", user: "U2", ...box("vm") },
    },
    bought: ["A 2 second-device", "B 2 second-device"],
    positions: { A: [1, 2, 1], B: [2, 2, 0] },
    covered: { "D1 A": "A direct", "L1 A": "A second-device", "D2 B": "B direct", "M2 B": "B direct" },
  },
  {
    rule: "a portable virtual machine is a virtual machine",
    machines: {
      D1: { has: "A", user: "U1", ...box("desktop") },
      L1: { has: "A", user: "U1", hardware: { chassis: "notebook", virtual: true } },
    },
    bought: ["A 1 second-device"],
    positions: { A: [2, 1, -1] },
  },
  {
    rule: "two desktops are two; one desktop and two notebooks are two; three portables are two",
    machines: {
      D1: { has: "A", user: "U1", ...box("desktop") },
      D2: { has: "A", user: "U1", ...box("tower") },
      D3: { has: "B", user: "U2", ...box("desktop") },
      L3: { has: "B", user: "U2", ...box("laptop") },
      L4: { has: "B", user: "U2", ...box("Sub Notebook") },
      T1: { has: "C", user: "U3", ...box("tablet") },
      T2: { has: "C", user: "U3", ...box("Other Hand Held") },
      T3: { has: "C", user: "U3", ...box("portable") },
      D4: { has: "D", user: "U4", ...box("Mini Tower") },
      H4: { has: "D", user: "U4", ...box("Other Hand Held") },
    },
    bought: ["A 9 second-device", "B 9 second-device", "C 9 second-device", "D 9 second-device"],
    positions: { A: [2, 9, 7], B: [2, 9, 7], C: [2, 9, 7], D: [1, 9, 8] },
  },
  {
    rule: "a notebook of somebody else, or of nobody, is no second device",
    machines: {
      D1: { has: "A", user: "U1", ...box("desktop") },
      L1: { has: "A", user: "U2", ...box("notebook") },
      L2: { has: "A", ...box("notebook") },
    },
    bought: ["A 3 second-device"],
    positions: { A: [3, 3, 0] },
  },
  {
    rule: "the second device needs the first to be covered: with no licence both are short",
    machines: {
      D1: { has: "A", user: "U1", ...box("desktop") },
      L1: { has: "A", user: "U1", ...box("notebook") },
    },
    bought: [{ license: "A", quantity: 1, rights: "second-device", expires: -1 }],
    positions: { A: [2, 0, -2] },
    covered: { "L1 A": "not-valid" },
  },
  {
    rule: "the right is of some copies only: it goes to who has two devices",
    machines: {
      A1: { has: "A", user: "U1", ...box("desktop") },
      D1: { has: "A", user: "U2", ...box("desktop") },
      L1: { has: "A", user: "U2", ...box("notebook") },
    },
    bought: ["A 1", "A 1 second-device"],
    positions: { A: [2, 2, 0] },
    covered: { "A1 A": "A direct", "D1 A": "A direct", "L1 A": "A second-device" },
  },
  {
    rule: "an older version on the notebook is still the second device of who may run older versions",
    path: "V1 V2",
    machines: {
      D1: { has: "V2", user: "U1", ...box("desktop") },
      L1: { has: "V1", user: "U1", ...box("notebook") },
    },
    bought: ["V2 1 second-device|downgrade"],
    positions: { V2: [1, 1, 0] },
    covered: { "D1 V2": "V2 direct", "L1 V1": "V2 second-device" },
  },

  // Suites
  {
    rule: "a suite on one device counts once, not with its parts",
    machines: { P1: "A B", P2: "A" },
    bought: ["S 1 suite(A B)", "A 1"],
    positions: { S: [1, 1, 0], A: [1, 1, 0] },
    covered: { "P1 A": "S suite", "P1 B": "S suite", "P2 A": "A direct" },
  },
  {
    rule: "most titles first: who has three gets the suite of three, who has two that of two",
    machines: { P1: "A B", P2: "A B C" },
    bought: ["S2 1 suite(A B)", "S3 1 suite(A B C)"],
    positions: { S2: [1, 1, 0], S3: [1, 1, 0] },
    covered: { "P1 A": "S2 suite", "P2 C": "S3 suite" },
  },
  {
    rule: "a suite is one device's: its parts on two devices need two",
    machines: { P1: "A", P2: "B" },
    bought: ["S 1 suite(A B)"],
    positions: { S: [1, 1, 0], B: [1, 0, -1] },
    covered: { "P1 A": "S suite", "P2 B": "used-up" },
  },
  {
    rule: "a suite by person serves that person's devices together",
    metrics: { S: ["user"], A: ["user"], B: ["user"] },
    machines: { P1: { has: "A", user: "U1" }, P2: { has: "B", user: "U1" }, P3: { has: "A", user: "U2" } },
    bought: ["S 1 suite(A B)"],
    positions: { S: [1, 1, 0], A: [1, 0, -1] },
    covered: { "P1 A": "S suite", "P2 B": "S suite", "P3 A": "used-up" },
  },
  {
    rule: "a suite's copies are not spent on what single copies cover, where that leaves nobody without",
    machines: { P1: "A", P2: "A B" },
    bought: ["S 1 suite(A B)", "A 1"],
    positions: { S: [1, 1, 0], A: [1, 1, 0] },
    covered: { "P1 A": "A direct", "P2 B": "S suite" },
  },

  // Allocations
  {
    rule: "what is allocated comes first: to devices before people, and both before chance",
    machines: { P1: "A", P2: "A", P3: { has: "A", user: "U1" } },
    bought: ["A 2"],
    allocated: [
      { license: "A", employee: "U1" },
      { license: "A", device: "P2" },
    ],
    positions: { A: [3, 2, -1] },
    covered: { "P1 A": "used-up", "P2 A": "A direct", "P3 A": "A direct" },
    allocations: { A: [2, 0, 1] },
  },
  {
    rule: "allocated and not there is wasted in the report, and yet nobody is kept out",
    machines: { P1: "A", P2: "B" },
    bought: ["A 1"],
    allocated: [{ license: "A", device: "P2" }],
    positions: { A: [1, 1, 0] },
    covered: { "P1 A": "A direct" },
    allocations: { A: [0, 1, 1] },
  },
  {
    rule: "one copy for a person with two devices is in use once, the other device is not allocated",
    machines: { P1: { has: "A", user: "U1" }, P2: { has: "A", user: "U1" } },
    bought: ["A 1"],
    allocated: [{ license: "A", employee: "U1" }],
    positions: { A: [2, 1, -1] },
    covered: { "P1 A": "A direct", "P2 A": "used-up" },
    allocations: { A: [1, 0, 1] },
  },
  {
    rule: "a person-metric copy allocated to a person covers all that person's devices",
    metrics: { U: ["user"] },
    machines: { P0: { has: "U", user: "U0" }, P1: { has: "U", user: "U1" }, P2: { has: "U", user: "U1" } },
    bought: ["U 1"],
    allocated: [{ license: "U", employee: "U1" }],
    positions: { U: [2, 1, -1] },
    covered: { "P0 U": "used-up", "P1 U": "U direct", "P2 U": "U direct" },
    allocations: { U: [1, 0, 1] },
  },
  {
    rule: "a newer copy allocated to a device that runs the older version is in use there",
    path: "V1 V2",
    machines: { P1: "V1", P2: "V2" },
    bought: ["V2 1 downgrade"],
    allocated: [{ license: "V2", device: "P1" }],
    positions: { V2: [2, 1, -1] },
    covered: { "P1 V1": "V2 downgrade", "P2 V2": "used-up" },
    allocations: { V2: [1, 0, 1] },
  },
  {
    rule: "of two entitlements the allocated one is used",
    machines: { P1: "A", P2: "A" },
    bought: [
      { id: "one", license: "A", quantity: 1 },
      { id: "two", license: "A", quantity: 1 },
    ],
    allocated: [{ license: "A", device: "P1", entitlement: "two" }],
    positions: { A: [2, 2, 0] },
    covered: { "P1 A": "A direct two", "P2 A": "A direct one" },
  },
];
