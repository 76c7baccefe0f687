import { expect, it } from "vitest";
import { systemClock } from "@daicho/kernel";
import { forEachStore } from "../../testing/stores.ts";
import { createAccessService } from "./index.ts";

forEachStore((store) => {
  it("n uses of an enrolment token enrol n nodes, even when all come at once", async () => {
    const db = await store.open();
    const access = await createAccessService({ db, clock: systemClock, company: "acme" });
    const { token } = await access.createEnrollmentToken({ uses: 3 });
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => db.transaction((trx) => access.takeEnrollmentToken(trx, token))),
    );
    expect(results.filter((r) => r.status === "fulfilled")).toHaveLength(3);
  });

  it("an API token is known by its secret, until it is revoked or has expired", async () => {
    const db = await store.open();
    let now = 1_000_000;
    const access = await createAccessService({ db, clock: { ...systemClock, now: () => now }, company: "acme" });
    const { id, token } = await access.createApiToken({ name: "x", role: "auditor", expiresAt: 2_000_000 });
    expect(await access.authenticate(token)).toEqual({ tokenId: id, role: "auditor" });
    expect(await access.authenticate(token.slice(0, -1) + (token.endsWith("A") ? "B" : "A"))).toBeUndefined();
    now = 3_000_000;
    expect(await access.authenticate(token)).toBeUndefined();
    const second = await access.createApiToken({ name: "y", role: "admin" });
    expect(await access.authenticate(second.token)).toBeDefined();
    await access.revokeApiToken(second.id);
    expect(await access.authenticate(second.token)).toBeUndefined();
  });

  it("a token bound to an employee says whom it acts for", async () => {
    const db = await store.open();
    const access = await createAccessService({ db, clock: systemClock, company: "acme" });
    const { id, token } = await access.createApiToken({ name: "x", role: "employee", employee: "E1" });
    expect(await access.authenticate(token)).toEqual({ tokenId: id, role: "employee", employee: "E1" });
    expect((await access.listApiTokens()).map((t) => t.employee)).toEqual(["E1"]);
  });

  it("the same idempotency key makes the same token, and no other one", async () => {
    const db = await store.open();
    const access = await createAccessService({ db, clock: systemClock, company: "acme" });
    const input = { name: "ci", role: "auditor" as const, expiresAt: Date.now() + 60_000 };
    const made = await Promise.all([1, 2, 3].map(() => access.createApiToken(input, "caller\nkey")));
    expect(new Set(made.map((m) => m.token)).size).toBe(1);
    expect(await access.authenticate(made[0]?.token ?? "")).toMatchObject({ role: "auditor" });
    await expect(access.createApiToken({ ...input, role: "admin" }, "caller\nkey")).rejects.toMatchObject({ code: "conflict" }); // prettier-ignore
    expect((await access.createApiToken(input, "other\nkey")).token).not.toBe(made[0]?.token);

    const { token } = await access.createEnrollmentToken({ uses: 3 }, "caller\nkey");
    await db.transaction((trx) => access.takeEnrollmentToken(trx, token));
    expect((await access.createEnrollmentToken({ uses: 3 }, "caller\nkey")).token).toBe(token);
    await expect(access.createEnrollmentToken({ uses: 4 }, "caller\nkey")).rejects.toMatchObject({ code: "conflict" });
    await expect(access.createEnrollmentToken({}, "caller\nkey")).rejects.toMatchObject({ code: "conflict" });
  });

  it("the root key is made once and stays", async () => {
    const db = await store.open();
    const first = await createAccessService({ db, clock: systemClock, company: "acme" });
    const second = await createAccessService({ db, clock: systemClock, company: "acme" });
    expect(second.root()).toEqual(first.root());
  });
});
