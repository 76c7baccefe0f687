/**
 * Purpose: at a group server: every company's corporate licence inventory (domain.md §7), as each last sent it, and - where this server
 * is a company of its own, too - its own, read live through the one position module.
 * Invariants: a company sends only its own, from the server that is enrolled under its name; an older version never overwrites a newer one.
 */
import { Position, type Certificate, type CompanyPositions } from "@daicho/protocol";
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import { serverErrors } from "../../errors.ts";
import { inputInvalid } from "../../http/problem.ts";
import { eachPolitely } from "../../slices.ts";
import type { Nodes } from "../nodes/index.ts";
import type { GroupCompanies, KnownCompany, Pooled } from "../pooling/index.ts";
import { groupStore, type CompanyRow } from "./store.ts";

/** This company's own corporate licence inventory; its implementation reads it in one moment. */
export type OwnPositions = () => Promise<Omit<CompanyPositions, "company" | "policy" | "pooled">>;

export interface Company {
  readonly name: string;
  /** Id of its server. */
  readonly node: string;
  /** Version of its positions; absent until the first came. */
  readonly version?: number;
  /** Enterprise policy version the counts were made with. */
  readonly policy?: number;
  readonly devices?: number;
  /** When the company made them, and when they came. RFC 3339. */
  readonly at?: string;
  readonly receivedAt?: string;
  /** Licences that it leaves to the group to buy: all, those named, or none. */
  readonly pooled?: Pooled;
}

export interface Companies extends GroupCompanies {
  list(): Promise<readonly Company[]>;
  /** undefined = there is no such company. */
  positions(name: string): Promise<(Company & { readonly positions: readonly Position[] }) | undefined>;
  /** @throws not-allowed, input-invalid */
  receive(sender: Certificate, positions: CompanyPositions): Promise<"stored" | "duplicate">;
}

export function createCompanies(deps: {
  readonly db: Database;
  readonly nodes: Nodes;
  readonly clock: Clock;
  readonly company: string;
  /** Enterprise policy version this server's own counts are made with. */
  readonly countedWith: () => number;
  /** Absent where this server is no company of its own. */
  readonly ownPositions: OwnPositions | undefined;
  /** What this server's own company leaves to the group: the one above, where there is one. */
  readonly pooled: Pooled;
  readonly boughtForAbove: boolean;
}): Companies {
  const { db, nodes, clock } = deps;

  async function own(): Promise<(Company & { readonly positions: readonly Position[] }) | undefined> {
    const policy = deps.countedWith();
    const held = await deps.ownPositions?.();
    if (held === undefined) return undefined;
    const { version, devices, at, positions } = held;
    const { pooled } = deps;
    return { name: deps.company, node: nodes.id, version, policy, devices, at, receivedAt: at, pooled, positions };
  }

  return {
    async list() {
      const rows = await groupStore.companies(db.kysely);
      const known = new Set(rows.map((r) => r.name));
      const self = await own();
      const all: Company[] = [
        ...rows.map(companyOf),
        ...(await nodes.companies())
          .filter((node) => !known.has(node.name))
          .map((node) => ({ name: node.name, node: node.id })),
      ];
      if (self !== undefined) {
        const { positions: _positions, ...company } = self;
        all.push(company);
      }
      return all.sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async positions(name) {
      if (name === deps.company) return own();
      const row = await groupStore.company(db.kysely, name);
      if (row !== undefined) return { ...companyOf(row), positions: JSON.parse(row.positions) as Position[] };
      const server = await nodes.serverOf(name);
      return server === undefined ? undefined : { name, node: server.id, positions: [] };
    },

    async own() {
      const self = deps.boughtForAbove ? undefined : await own();
      if (self?.version === undefined) return undefined;
      return { name: self.name, version: self.version, pooled: deps.pooled, positions: self.positions };
    },

    async others(trx) {
      const enrolled = new Set((await nodes.companies(trx)).map((node) => node.name));
      const all: KnownCompany[] = [];
      await eachPolitely(await groupStore.positions(trx), ({ name, version, pooled, positions }) => {
        // One whose server was removed could not fetch what is ordered for it.
        if (name === deps.company || !enrolled.has(name)) return;
        all.push({
          name,
          version,
          pooled: JSON.parse(pooled) as Pooled,
          positions: JSON.parse(positions) as Position[],
        });
      });
      return all;
    },

    async pooled(trx, company) {
      const row = await groupStore.company(trx, company);
      return row === undefined ? false : (JSON.parse(row.pooled) as Pooled);
    },

    async receive(sender, { company, version, policy, at, devices, pooled = false, positions }) {
      if (company !== sender.name)
        throw serverErrors.make("not-allowed", { role: `server of ${sender.name}`, needed: `server of ${company}` });
      // The one enrolled under this name - not one that was removed or replaced.
      if ((await nodes.serverOf(company))?.id !== sender.id)
        throw serverErrors.make("not-allowed", { role: "removed server", needed: "enrolled server" });
      const made = Date.parse(at);
      if (!Number.isFinite(made)) throw inputInvalid([{ path: "/at", message: "is no time" }]);
      const now = clock.now();
      const stored = await groupStore.savePositions(db.kysely, {
        name: company,
        node: sender.id,
        version,
        policy,
        devices,
        at: made,
        received_at: now,
        positions: JSON.stringify(positions.map(kept)),
        pooled: JSON.stringify(typeof pooled === "boolean" ? pooled : [...new Set(pooled)].sort()),
      });
      if (!stored) await groupStore.touch(db.kysely, company, version, now);
      return stored ? "stored" : "duplicate";
    },
  };
}

function companyOf(row: Omit<CompanyRow, "positions">): Company {
  return {
    name: row.name,
    node: row.node,
    version: row.version,
    policy: row.policy,
    devices: row.devices,
    at: new Date(row.at).toISOString(),
    receivedAt: new Date(row.received_at).toISOString(),
    pooled: JSON.parse(row.pooled) as Pooled,
  };
}

/** Known fields only, so that what is stored is bounded by the schema. */
function kept(p: Position): Position {
  const { preinstalled, individual, other } = p.unmanaged;
  const known = Object.keys(Position.properties).map((name) => [name, p[name as keyof Position]] as const);
  const told = Object.fromEntries(known.filter(([, value]) => value !== undefined)) as Position;
  return { ...told, unmanaged: { preinstalled, individual, other } };
}
