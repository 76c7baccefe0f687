import { expect, it } from "vitest";
import { forEachStore } from "../../testing/stores.ts";
import type { Pooled } from "./setting.ts";
import { createWord } from "./word.ts";

forEachStore((store) => {
  it("what a group may be buying is what it was told, until it answers that it knows better - and nobody told it more since", async () => {
    const db = await store.open();
    const of = (pooled: Pooled) => createWord({ db, pooled, told: true });
    const buys = (pooled: Pooled): Promise<string> =>
      db.snapshot(async (trx) => ["@A", "@B"].filter(await of(pooled).within(trx)).join());
    expect(await buys(false)).toBe("");
    expect(await buys(["@B"])).toBe("@B");
    await of(["@A"]).give();
    expect(await buys(false)).toBe("@A");
    expect(await buys(["@B"])).toBe("@A,@B");
    await of(["@B"]).give();
    expect(await buys(false)).toBe("@A,@B");
    // The group still knows the first word; then the second.
    await of(["@B"]).settle(["@A"], await of(["@B"]).count());
    expect(await buys(false)).toBe("@A,@B");
    await of(["@B"]).settle(["@B"], await of(["@B"]).count());
    expect(await buys(false)).toBe("@B");
    const asked = await of(false).count();
    await of(true).give();
    await of(false).settle(false, asked);
    expect(await buys(false)).toBe("@A,@B");
    await of(false).settle(false, asked + 1);
    expect(await buys(false)).toBe("");
    // A company without a group above has nobody who could be buying.
    await of(true).give();
    const alone = createWord({ db, pooled: false, told: false });
    expect(await db.snapshot(async (trx) => (await alone.within(trx))("@A"))).toBe(false);
  });
});
