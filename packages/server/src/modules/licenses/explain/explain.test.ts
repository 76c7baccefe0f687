import { describe, expect, it } from "vitest";
import { assembleLedger } from "../../../testing/ledger.ts";
import { forEachStore } from "../../../testing/stores.ts";

forEachStore((store) => {
  describe("why a number is what it is (issue 3)", () => {
    it("a position is told as its installations, what covers each and what each entitlement is used for", async () => {
      const s = await assembleLedger(await store.open());
      for (const [id, employee] of [["PC1", "E1"], ["PC2", "E2"], ["PC3", "E3"]] as const) await s.add(id, { employee }); // prettier-ignore
      await s.uses("PC1", ["@A", "@B"]);
      await s.uses("PC2", ["@A"]);
      await s.uses("PC3", ["@A"]);
      const own = await s.bought("@A", 1);
      const suite = await s.bought("@S", 1, "suite(@A @B)", { packSize: 1 });
      const old = await s.bought("@A", 9, "", { expiresAt: s.clock.now() - 1000 });
      const why = await s.explain.position("@A", {});
      expect(why.totals).toEqual({ used: 2, installed: 3, held: 1, items: 3 });
      expect(why.items).toMatchObject([
        { device: "PC1", employee: "E1", department: "D1", license: "@A", used: 0, installed: 1, countsAs: "@S", right: "suite", entitlements: [suite.id], because: "@S holds @A" },
        { device: "PC2", department: "D2", used: 1, installed: 1, covered: true, right: "direct", entitlements: [own.id] },
        { device: "PC3", used: 1, covered: false, reason: "used-up" },
      ]); // prettier-ignore
      expect(why.entitlements).toMatchObject([
        { id: own.id, held: 1, used: 1, covers: 1, validity: "valid" },
        { id: old.id, units: 9, held: 0, used: 0, validity: "expired" },
        { id: suite.id, license: "@S", held: 0, used: 1, covers: 2, rights: "suite(@A @B)" },
      ]);
      const covering = await s.explain.position("@S", { department: "D1" });
      expect(covering.totals).toEqual({ used: 1, installed: 0, held: 1, items: 2 });
      expect(covering.items.map((i) => [i.device, i.license, i.used, i.countedWith])).toEqual([
        ["PC1", "@A", 1, undefined],
        ["PC1", "@B", 0, "PC1"],
      ]);
      const page = await s.explain.position("@A", { limit: 2 });
      expect(page.totals).toEqual(why.totals);
      expect(await s.explain.position("@A", { limit: 2, cursor: page.nextCursor ?? "" })).toMatchObject({
        items: [{ device: "PC3" }],
      });
      await expect(s.explain.position("@A", { cursor: "x" })).rejects.toMatchObject({ code: "input-invalid" });
      await expect(s.explain.position("@NO", {})).rejects.toMatchObject({ code: "not-found" });
      await expect(s.explain.position("@A", { department: "NO" })).rejects.toMatchObject({ code: "not-found" });
    });

    it("any past number is explained as it was", async () => {
      const s = await assembleLedger(await store.open());
      await s.add("PC1", { employee: "E1" });
      await s.uses("PC1", ["@V16"]);
      await s.bought("@V19", 1, "downgrade(@V16)");
      const then = s.clock.now();
      s.tick();
      await s.uses("PC1", []);
      expect((await s.explain.position("@V19", {})).totals).toMatchObject({ used: 0 });
      expect(await s.explain.position("@V19", {}, then)).toMatchObject({
        totals: { used: 1, installed: 0, held: 1 },
        items: [{ device: "PC1", license: "@V16", right: "downgrade" }],
      });
    });

    it("a device's licence: since when, for whom and why, and what covers it - or why it has none", async () => {
      const s = await assembleLedger(await store.open());
      await s.add("PC1", { employee: "E1" });
      await s.add("PC2", { department: "D2" });
      await s.add("PC3");
      await s.uses("PC1", ["@A"]);
      const since = new Date(s.clock.now()).toISOString();
      await s.uses("PC1", ["@A", "@B"]);
      await s.uses("PC2", ["@A"]);
      await s.uses("PC3", ["@A"]);
      const { id } = await s.bought("@A", 1);
      await s.allocations.create({ license: "@A", device: "PC1" });
      expect(await s.explain.device("PC1", "@A")).toMatchObject({
        installed: true,
        since,
        countsFor: { department: "D1", employee: "E1", because: "the department of its user" },
        coverage: {
          covered: true,
          right: "direct",
          entitlements: [id],
          because: "its own licence, allocated to it",
          used: 1,
        },
        entitlements: [{ id, coversThis: true }],
      });
      expect(await s.explain.device("PC2", "@A")).toMatchObject({
        countsFor: { department: "D2", because: "it has no user: its managing department" },
        coverage: { covered: false, reason: "used-up", used: 1 },
      });
      expect(await s.explain.device("PC3", "@A")).toMatchObject({ countsFor: { department: "unassigned" } });
      expect(await s.explain.device("PC3", "@B")).toMatchObject({
        installed: false,
        because: "the device has not reported",
      });
      await expect(s.explain.device("NO", "@A")).rejects.toMatchObject({ code: "not-found" });
      await expect(s.explain.device("PC1", "@NO")).rejects.toMatchObject({ code: "not-found" });
    });
  });
});
