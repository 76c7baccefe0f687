import { afterEach, expect, it } from "vitest";
import {
  auditCsv,
  auditInventories,
  auditPaths,
  auditPolicy,
  codeOf,
  coverageWords,
  namedEntitlements,
  prefixOf,
} from "../../testing/audit-company.ts";
import { auditVectors } from "../../testing/audit-vectors.ts";
import { startServer, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";
import type { Explain } from "./explain/index.ts";

forEachStore((store) => {
  let s: TestServer;
  afterEach(() => s.stop());

  const sent = async (method: string, path: string, options: object): Promise<Record<string, unknown>> => {
    const answer = await s.api(method, `/api/v1/${path}`, options);
    expect(answer.status, `${path}: ${answer.text}`).toBeLessThan(300);
    return answer.text === "" ? {} : answer.json();
  };

  const explained = async (code: string) =>
    (await sent("GET", `positions/${encodeURIComponent(code)}/explain`, {})) as unknown as Awaited<
      ReturnType<Explain["position"]>
    >;

  it("what an auditor asks, worked out by hand (§3-§5): every vector, from CSV files and inventories to positions", async () => {
    s = await startServer(store, { role: "both" });
    // Vectors speak of days from today; every question below is asked on the same day, or the vectors would have to be brought in anew.
    const now = Date.now();
    await sent("PUT", "policies/enterprise", { body: auditPolicy(), type: "application/yaml" });
    const take = (kind: string, body = "") => sent("POST", `imports/${kind}`, { body, type: "text/csv" });
    const first = auditCsv(now, new Map());
    for (const kind of ["departments", "employees", "devices"]) await take(kind, first[kind]);
    await s.server.derivation.refresh();
    await s.server.inventories.store(auditInventories());
    for (const [name, licenses] of auditPaths()) await sent("PUT", `version-paths/${name}`, { json: { licenses } });
    const ids = new Map<string, string>();
    for (const [name, json] of namedEntitlements(now))
      ids.set(name, (await sent("POST", "entitlements", { json }))["id"] as string);
    const names = new Map([...ids].map(([name, id]) => [id, name]));
    const second = auditCsv(now, ids);
    for (const kind of ["entitlements", "allocations"]) await take(kind, second[kind]);

    const positions = new Map((await s.server.positions.company()).items.map((item) => [item.license, item]));
    for (const vector of auditVectors) {
      const say = (what: string): string => `${prefixOf(vector)} ${vector.rule}: ${what}`;
      for (const [license, [used, held, overUnder]] of Object.entries(vector.positions)) {
        const item = positions.get(codeOf(vector, license));
        const idle = Math.max(0, held - used);
        expect(item, say(license)).toMatchObject({ used, held, overUnder, idle });
        const why = await explained(codeOf(vector, license));
        expect(why.totals, say(license)).toMatchObject({ used, held, overUnder, idle, installed: item?.installed });
        expect([sum(why.items, "used"), sum(why.entitlements, "held")], say(license)).toEqual([used, held]);
      }
      for (const [license, [inUse, notInUse, notAllocated]] of Object.entries(vector.allocations ?? {})) {
        const numbers = { allocatedInUse: inUse, allocatedNotInUse: notInUse, notAllocatedInUse: notAllocated };
        expect(positions.get(codeOf(vector, license)), say(license)).toMatchObject(numbers);
        const why = await explained(codeOf(vector, license));
        expect(why.totals, say(license)).toMatchObject(numbers);
        expect(sum(why.items, "allocatedInUse"), say(license)).toBe(inUse);
        expect([sum(why.allocations, "inUse"), sum(why.allocations, "notInUse")], say(license)).toEqual([inUse, notInUse]); // prettier-ignore
      }
      for (const [where, words] of Object.entries(vector.covered ?? {})) {
        const [device = "", license = ""] = where.split(" ");
        const told = await sent(
          "GET",
          `devices/${prefixOf(vector)}${device}/licenses/${encodeURIComponent(codeOf(vector, license))}/explain`,
          {},
        );
        expect(coverageWords(vector, told, names), say(where)).toBe(words);
      }
    }
    expect((await s.server.reconcile()).differences).toEqual([]);
  });
});

function sum<K extends string>(items: readonly Readonly<Record<K, number>>[], field: K): number {
  return items.reduce((total, item) => total + item[field], 0);
}
