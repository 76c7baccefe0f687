import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assembleLedger as assemble, ledgerCodes as codes } from "../../../testing/ledger.ts";
import { forEachStore } from "../../../testing/stores.ts";

forEachStore((store) => {
  describe("attached rights and allocations in positions (issue 3, 1 and 2)", () => {
    it("a suite covers its titles in the department where they are; what is installed is shown beside it", async () => {
      const s = await assemble(await store.open());
      await s.add("PC1", { employee: "E1" });
      await s.add("PC2", { employee: "E2" });
      await s.uses("PC1", ["@A", "@B"]);
      await s.uses("PC2", ["@A"]);
      expect(await s.used()).toEqual({ "@A": 2, "@B": 1 });
      await s.bought("@A", 1);
      await s.bought("@S", 1, "suite(@A @B)");
      expect(await s.used()).toEqual({ "@A": 1, "@S": 1 });
      expect(await s.inDepartment("D1")).toEqual({ "@A": [0, 1], "@B": [0, 1], "@S": [1, 0] });
      expect(await s.inDepartment("D2")).toEqual({ "@A": [1, 1] });
      await s.isSound();
    });

    it("versions: the path decides, can be edited, and the past keeps what it said", async () => {
      const s = await assemble(await store.open());
      await s.add("PC1", { employee: "E1" });
      await s.uses("PC1", ["@V16"]);
      await s.bought("@V19", 2, "Downgrade");
      expect(await s.used()).toEqual({ "@V16": 1 });
      s.tick();
      await s.paths.put("office", ["@V16", "@V19"]);
      expect(await s.used()).toEqual({ "@V19": 1 });
      const then = s.clock.now();
      s.tick();
      await s.paths.put("office", ["@V19", "@V16"]);
      expect(await s.used()).toEqual({ "@V16": 1 });
      const before = await s.positions.company({ asOf: then });
      expect(before.items.map((i) => [i.license, i.used, i.installed])).toEqual([
        ["@V16", 0, 1],
        ["@V19", 1, 0],
      ]);
      expect((await s.paths.history("office")).map((p) => p.licenses[0])).toEqual(["@V19", "@V16"]);
      s.tick();
      expect(await s.paths.remove("office")).toBe(true);
      expect(await s.paths.remove("office")).toBe(false);
      await expect(s.paths.put("office", ["@V16", "@NO", "@V16"])).rejects.toMatchObject({ code: "input-invalid" });
      await s.isSound();
    });

    it("a second device of the same user is free while its chassis is portable, and its user the same", async () => {
      const s = await assemble(await store.open());
      await s.add("DESK", { employee: "E1" });
      await s.add("BOOK", { employee: "E1" });
      await s.chassis("DESK", "desktop");
      await s.chassis("BOOK", "notebook");
      await s.uses("DESK", ["@A"]);
      await s.uses("BOOK", ["@A"]);
      await s.bought("@A", 5, "second-device");
      expect(await s.used()).toEqual({ "@A": 1 });
      await s.isSound();
      s.tick();
      // Only the user changes, within one department: no count moves, but what covers it does.
      await s.devices.save({ id: "BOOK", employee: "E3" }, "change");
      expect(await s.used()).toEqual({ "@A": 2 });
      await s.isSound();
      s.tick();
      await s.devices.save({ id: "BOOK", employee: "E1" }, "change");
      expect(await s.used()).toEqual({ "@A": 1 });
      const then = s.clock.now();
      s.tick();
      await s.chassis("BOOK", "notebook", true);
      expect(await s.used()).toEqual({ "@A": 2 });
      await s.isSound();
      const before = await s.positions.company({ asOf: then });
      expect(before.items.map(({ license, used }) => [license, used])).toEqual([["@A", 1]]);
    });

    it("an entitlement outside its dates is worth nothing, nor are its rights; packs count by what is in them", async () => {
      const s = await assemble(await store.open());
      await s.add("PC1", { employee: "E1" });
      await s.uses("PC1", ["@A"]);
      const end = s.clock.now() + 60_000;
      await s.bought("@S", 2, "suite(@A @B)", { packSize: 5, expiresAt: end });
      expect(await s.position("@S")).toMatchObject({ held: 10, used: 1, installed: 0 });
      s.clock.advance(120_000);
      expect(await s.position("@S")).toMatchObject({ held: 0, used: 0, installed: 0 });
      expect(await s.position("@A")).toMatchObject({ held: 0, used: 1, installed: 1, overUnder: -1 });
      await s.isSound();
    });

    it("allocations: in use, not in use, and what is in use without one; they come first and end with history", async () => {
      const s = await assemble(await store.open());
      for (const [id, employee] of [["PC1", "E1"], ["PC2", "E2"], ["PC3", "E3"]] as const) await s.add(id, { employee }); // prettier-ignore
      await s.uses("PC1", ["@A"]);
      await s.uses("PC2", ["@A"]);
      await s.bought("@A", 5);
      const first = await s.allocations.create({ license: "@A", device: "PC1" }, "k");
      expect(await s.allocations.create({ license: "@A", device: "PC1" }, "k")).toEqual(first);
      await expect(s.allocations.create({ license: "@A", device: "PC2" }, "k")).rejects.toMatchObject({
        code: "conflict",
      });
      await expect(s.allocations.create({ license: "@A", device: "PC1" })).rejects.toMatchObject({
        code: "already-exists",
      });
      await s.allocations.create({ license: "@A", employee: "E3", quantity: 2 });
      expect(await s.position("@A")).toMatchObject({
        used: 2,
        allocatedInUse: 1,
        allocatedNotInUse: 2,
        notAllocatedInUse: 1,
      });
      await s.uses("PC3", ["@A"]);
      expect(await s.position("@A")).toMatchObject({
        used: 3,
        allocatedInUse: 2,
        allocatedNotInUse: 1,
        notAllocatedInUse: 1,
      });
      s.tick();
      await s.allocations.setQuantity(first.id, 3);
      s.tick();
      expect(await s.allocations.remove(first.id)).toBe(true);
      expect(await s.allocations.remove(first.id)).toBe(false);
      expect((await s.allocations.list({ ended: true })).rows.map((a) => [a.quantity, a.until === undefined])).toEqual(
        expect.arrayContaining([[2, true], [3, false], [1, false]]),
      ); // prettier-ignore
      expect(await s.position("@A")).toMatchObject({ allocatedInUse: 1, allocatedNotInUse: 1, notAllocatedInUse: 2 });
      await s.isSound();
    });

    it("allocations of what is not there are refused, each with its field; nothing is written", async () => {
      const s = await assemble(await store.open());
      const owned = await s.bought("@B", 1);
      await s.add("PC1");
      for (const [input, path] of [
        [{ license: "@NO", device: "PC1" }, "/license"],
        [{ license: "@A" }, "/device"],
        [{ license: "@A", device: "NO" }, "/device"],
        [{ license: "@A", employee: "NO" }, "/employee"],
        [{ license: "@A", device: "PC1", entitlement: "no" }, "/entitlement"],
        [{ license: "@A", device: "PC1", entitlement: owned.id }, "/entitlement"],
      ] as const)
        await expect(s.allocations.create(input), path).rejects.toMatchObject({ code: "input-invalid", message: expect.stringContaining(path) as string }); // prettier-ignore
      expect((await s.allocations.list({})).rows).toEqual([]);
    });

    it("rights that are not understood are refused at their place; unknown licences in them are a warning", async () => {
      const s = await assemble(await store.open());
      await expect(s.bought("@A", 1, "upgrade|home-use")).rejects.toMatchObject({
        code: "input-invalid",
        message: expect.stringContaining("character 9") as string,
      });
      const parent = await s.bought("@A", 1);
      const child = await s.bought("@A", 1, "", { parent: parent.id });
      expect(child.parent).toBe(parent.id);
      await expect(s.entitlements.change(parent.id, { parent: child.id })).rejects.toMatchObject({
        code: "input-invalid",
      });
      await expect(s.bought("@A", 1, "", { parent: "nobody" })).rejects.toMatchObject({ code: "input-invalid" });
      const { warnings } = await s.db.transaction((trx) =>
        s.entitlements.write(trx, [{ license: "@S", quantity: 1, rights: "suite(@A @TYPO)" }], {
          mode: "upsert",
          at: s.clock.now(),
        }),
      );
      expect(warnings).toMatchObject([{ row: 0, field: "rights", code: "reference-unknown" }]);
    });

    it("whatever happens - reports, moves, purchases, rights, allocations, paths - the laws hold and reconcile is clean", async () => {
      const step = fc.oneof(
        { weight: 4, arbitrary: fc.record({ do: fc.constant("use" as const), device: fc.nat(5), licenses: fc.subarray(codes) }) },
        { weight: 2, arbitrary: fc.record({ do: fc.constant("assign" as const), device: fc.nat(5), employee: fc.constantFrom(null, "E1", "E2", "E3") }) },
        { weight: 1, arbitrary: fc.record({ do: fc.constant("move" as const), employee: fc.constantFrom("E1", "E2", "E3"), department: fc.constantFrom("D1", "D2", null) }) },
        { weight: 2, arbitrary: fc.record({ do: fc.constant("buy" as const), license: fc.constantFrom(...codes), quantity: fc.nat(3), rights: fc.constantFrom("", "downgrade", "upgrade", "suite(@A @B)", "second-device", "suite(@U @V16)|downgrade") }) },
        { weight: 1, arbitrary: fc.record({ do: fc.constant("withdraw" as const), which: fc.nat(9) }) },
        { weight: 1, arbitrary: fc.record({ do: fc.constant("allocate" as const), license: fc.constantFrom(...codes), device: fc.nat(5), employee: fc.constantFrom(undefined, "E1", "E2") }) },
        { weight: 1, arbitrary: fc.record({ do: fc.constant("reshape" as const), device: fc.nat(5), chassis: fc.constantFrom("desktop", "notebook"), virtual: fc.boolean() }) },
        { weight: 1, arbitrary: fc.record({ do: fc.constant("path" as const), licenses: fc.shuffledSubarray(codes, { minLength: 2 }) }) },
      ); // prettier-ignore
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
          const s = await assemble(await store.open());
          const bought: string[] = [];
          const kinds = ["desktop", "notebook", "tablet", "tower", "notebook", "desktop"];
          for (const [i, word] of kinds.entries()) {
            await s.add(`PC${i}`, { employee: `E${(i % 3) + 1}` });
            await s.chassis(`PC${i}`, word, i === 4);
          }
          const recorded: { readonly asOf: number; readonly items: unknown }[] = [];
          for (const one of steps) {
            s.tick();
            if (one.do === "use") await s.uses(`PC${one.device}`, one.licenses);
            else if (one.do === "assign") await s.devices.save({ id: `PC${one.device}`, employee: one.employee }, "change");
            else if (one.do === "move") await s.organization.saveEmployee({ id: one.employee, department: one.department }, "change");
            else if (one.do === "buy") bought.push((await s.bought(one.license, one.quantity, one.rights)).id);
            else if (one.do === "withdraw") await s.entitlements.remove(bought[one.which % Math.max(1, bought.length)] ?? "none");
            else if (one.do === "path") await s.paths.put("p", one.licenses);
            else if (one.do === "reshape") await s.chassis(`PC${one.device}`, one.chassis, one.virtual);
            else
              await s.allocations
                .create({ license: one.license, ...(one.employee === undefined ? { device: `PC${one.device}` } : { employee: one.employee }) })
                .catch((error: unknown) => expect(error).toMatchObject({ code: "already-exists" }));
            recorded.push({ asOf: s.clock.now(), items: (await s.positions.company()).items });
          } // prettier-ignore
          await s.isSound();
          s.clock.advance(10_000);
          await s.uses("PC0", []);
          // What was true is still told, worked out from history.
          for (const { asOf, items } of recorded) expect((await s.positions.company({ asOf })).items).toEqual(items);
        }),
        { numRuns: store.name === "sqlite" ? 12 : 4 },
      );
    }, 240_000);
  });
});
