/** Purpose: what every test of this folder asks in the end: does the server hold what the devices said, and count what it holds? */
import { expect } from "vitest";
import type { Title } from "@daicho/protocol";
import { linesOf } from "./fleet.ts";
import type { ServerNode } from "./site.ts";

export interface PositionItem {
  readonly license: string;
  readonly used: number;
  readonly held: number;
  readonly overUnder: number | null;
}

/** `daicho report reconcile` says that every stored total equals the recomputed one. */
export async function expectReconciled(server: ServerNode): Promise<void> {
  const { code, stdout, stderr } = await server.run("report", "reconcile");
  expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
}

export async function softwareAt(server: ServerNode, device: string): Promise<readonly string[] | undefined> {
  const { software } = await server.api.get<{ software?: readonly Title[] }>(`/api/v1/devices/${device}`);
  return software === undefined ? undefined : linesOf(software);
}

export async function licensesAt(server: ServerNode, device: string): Promise<readonly string[]> {
  const { licenses = [] } = await server.api.get<{ licenses?: readonly { license: string; count: number }[] }>(
    `/api/v1/devices/${device}`,
  );
  return licenses.map(({ license }) => license).sort();
}

/** Licence → used, of the licences that are used. */
export async function usedAt(server: ServerNode): Promise<Record<string, number>> {
  const { items } = await server.api.get<{ items: readonly PositionItem[] }>("/api/v1/positions");
  return usedOf(items);
}

export async function usedAtGroup(group: ServerNode, company: string): Promise<Record<string, number>> {
  const { items } = await group.api.get<{ items: readonly PositionItem[] }>(`/api/v1/companies/${company}/positions`);
  return usedOf(items);
}

function usedOf(items: readonly PositionItem[]): Record<string, number> {
  return Object.fromEntries(items.filter(({ used }) => used > 0).map(({ license, used }) => [license, used]));
}
