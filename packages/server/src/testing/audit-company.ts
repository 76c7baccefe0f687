/**
 * Purpose: all audit vectors as one company - policy, CSV files, inventories, version paths - as its administrator would bring them in, and what was
 * answered put back into the vectors' words.
 */
import {
  auditMetrics,
  auditVectors,
  type AuditMachine,
  type AuditPurchase,
  type AuditVector,
} from "./audit-vectors.ts";

const dayMs = 86_400_000;

/** `K07-` before every name of the seventh vector. */
export function prefixOf(vector: AuditVector): string {
  return `K${String(auditVectors.indexOf(vector) + 1).padStart(2, "0")}-`;
}

export const codeOf = (vector: AuditVector, license: string): string => `@${prefixOf(vector)}${license}`;

function machinesOf(vector: AuditVector): readonly (readonly [id: string, machine: AuditMachine])[] {
  return Object.entries(vector.machines).map(([id, one]) => [
    prefixOf(vector) + id,
    typeof one === "string" ? { has: one } : one,
  ]);
}

/** `A 2 downgrade` is two of A with that right. */
function purchaseOf(bought: AuditPurchase | string): AuditPurchase {
  if (typeof bought !== "string") return bought;
  const [, license = "", quantity = "", rights] = /^(\S+) (\d+)(?: (.*))?$/.exec(bought) ?? [];
  return { license, quantity: Number(quantity), ...(rights !== undefined && { rights }) };
}

/** Codes in parentheses get the vector's prefix. */
function rightsIn(vector: AuditVector, rights: string): string {
  return rights.replaceAll(
    /\(([^)]*)\)/g,
    (_, codes: string) => `(${codes.split(" ").map((one) => codeOf(vector, one)).join(" ")})`,
  ); // prettier-ignore
}

export function licensesOf(vector: AuditVector): readonly string[] {
  const named = [
    ...machinesOf(vector).flatMap(([, { has }]) => has.split(" ")),
    ...(vector.bought ?? []).map((one) => purchaseOf(one).license),
    ...(vector.path?.split(" ") ?? []),
    ...Object.keys(vector.positions),
  ];
  return [...new Set(named)].filter((name) => name !== "");
}

export function auditPolicy(): string {
  const software: string[] = [];
  const licenses: string[] = [];
  for (const vector of auditVectors)
    for (const license of licensesOf(vector)) {
      const code = codeOf(vector, license);
      const title = code.slice(1);
      const [metric = "device", count] = vector.metrics?.[license] ?? [];
      software.push(`  - { code: "${code}-T", name: "${title}", detect: 'app(name = "${title}")' }`);
      licenses.push(
        `  - { rule: "${code}-T = ${code}", metric: ${metric}${count === undefined ? "" : `, count: ${count}`} }`,
      );
    }
  return [
    "daicho: policy/v1\nid: audit\nedition: enterprise\nversion: 1",
    `software:\n${software.join("\n")}`,
    `licenses:\n${licenses.join("\n")}`,
    `metrics:\n${auditMetrics.map((rule) => `  - ${JSON.stringify(rule)}`).join("\n")}\n`,
  ].join("\n");
}

export function auditInventories(): readonly object[] {
  return auditVectors.flatMap((vector) =>
    machinesOf(vector).map(([id, { has, hardware }]) => ({
      daicho: "inventory/v1",
      device: { id, hostname: id },
      hardware: hardware ?? {},
      software: has.split(" ").map((name) => ({ name: prefixOf(vector) + name, version: "1", source: "msi" })),
    })),
  );
}

export function auditPaths(): readonly (readonly [name: string, licenses: readonly string[]])[] {
  return auditVectors.flatMap((vector) =>
    vector.path === undefined
      ? []
      : [[`${prefixOf(vector)}path`, vector.path.split(" ").map((one) => codeOf(vector, one))] as const],
  );
}

/** Entitlements that allocations name, by the vectors' names; the others come as CSV. */
export function namedEntitlements(now: number): readonly (readonly [name: string, json: object])[] {
  return auditVectors.flatMap((vector) =>
    (vector.bought ?? []).map(purchaseOf).flatMap((one) =>
      one.id === undefined
        ? []
        : [
            [
              prefixOf(vector) + one.id,
              {
                license: codeOf(vector, one.license),
                quantity: one.quantity,
                ...(one.expires !== undefined && { expiresAt: dayOf(one.expires, now) }),
              },
            ] as const,
          ],
    ),
  );
}

/** `ids`: what the named entitlements are called by the server. */
export function auditCsv(now: number, ids: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const employees: string[] = [];
  const devices: string[] = [];
  const entitlements: string[] = [];
  const allocations: string[] = [];
  for (const vector of auditVectors) {
    const prefix = prefixOf(vector);
    const machines = machinesOf(vector);
    for (const user of new Set(machines.flatMap(([, { user }]) => user ?? [])))
      employees.push(`${prefix}${user},${user},AUDIT`);
    for (const [id, { user }] of machines) devices.push(`${id},${id},${user === undefined ? "" : prefix + user},AUDIT`);
    for (const one of (vector.bought ?? []).map(purchaseOf))
      if (one.id === undefined)
        entitlements.push(
          [
            codeOf(vector, one.license),
            one.metric ?? vector.metrics?.[one.license]?.[0] ?? "device",
            one.quantity,
            one.packSize ?? "",
            rightsIn(vector, one.rights ?? ""),
            one.starts === undefined ? "" : dayOf(one.starts, now),
            one.expires === undefined ? "" : dayOf(one.expires, now),
            `${prefix}${entitlements.length}`,
          ].join(),
        );
    for (const one of vector.allocated ?? [])
      allocations.push(
        [
          codeOf(vector, one.license),
          one.device === undefined ? "" : prefix + one.device,
          one.employee === undefined ? "" : prefix + one.employee,
          one.quantity ?? 1,
          one.entitlement === undefined ? "" : ids.get(prefix + one.entitlement),
        ].join(),
      );
  }
  return {
    departments: "code,name\nAUDIT,Audit\n",
    employees: `id,name,department\n${employees.join("\n")}\n`,
    devices: `id,hostname,employee,department\n${devices.join("\n")}\n`,
    entitlements: `license,metric,quantity,packSize,rights,startsAt,expiresAt,contract\n${entitlements.join("\n")}\n`,
    allocations: `license,device,employee,quantity,entitlement\n${allocations.join("\n")}\n`,
  };
}

function dayOf(days: number, now: number): string {
  return new Date(now + days * dayMs).toISOString().slice(0, 10);
}

/** What `/devices/{id}/licenses/{code}/explain` says of coverage, as the vectors write it. */
export function coverageWords(
  vector: AuditVector,
  told: {
    readonly units?: { readonly units: number };
    readonly coverage?: {
      readonly covered: boolean;
      readonly coveredUnits?: number;
      readonly right?: string;
      readonly countsAs?: string;
      readonly reason?: string;
      readonly entitlements?: readonly string[];
    };
  },
  names: ReadonlyMap<string, string>,
): string {
  const { covered, coveredUnits = 0, right, countsAs = "", reason, entitlements = [] } = told.coverage ?? {};
  if (covered !== true) return coveredUnits > 0 ? `${coveredUnits} of ${told.units?.units ?? 0}` : String(reason);
  const name = names.get(entitlements[0] ?? "");
  const license = countsAs.slice(1 + prefixOf(vector).length);
  return [license, right, ...(name === undefined ? [] : [name.slice(prefixOf(vector).length)])].join(" ");
}
