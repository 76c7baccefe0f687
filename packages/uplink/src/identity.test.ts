import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { company, enrolledIdentity, tempDir } from "./fixtures/node-above.ts";
import { openIdentity, setIdentityAside } from "./identity.ts";

describe("a node's identity", () => {
  it("is made once and is the same at every start", async () => {
    const dir = tempDir();
    const first = await openIdentity({ dir });
    const again = await openIdentity({ dir });
    expect(again.id).toBe(first.id);
    expect(again.enrollment).toBeUndefined();
  });

  it("is readable by its owner only and leaves no drafts behind", async () => {
    const dir = tempDir();
    await enrolledIdentity(company(), dir);
    if (process.platform !== "win32") expect(statSync(join(dir, "identity.json")).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir).sort()).toEqual(["enrollment.json", "identity.json"]);
  });

  it("is one even when several processes start in the same instant", async () => {
    const dir = tempDir();
    const opened = await Promise.all(Array.from({ length: 8 }, () => openIdentity({ dir })));
    expect(new Set(opened.map((identity) => identity.id)).size).toBe(1);
    expect((await openIdentity({ dir })).id).toBe(opened[0]?.id);
  });

  it("keeps certificate and root beside the key", async () => {
    const dir = tempDir();
    const acme = company();
    await enrolledIdentity(acme, dir);
    expect((await openIdentity({ dir })).enrollment?.root).toEqual(acme.root);
  });

  it("is never replaced silently: a damaged key is an error that names the file and tells nothing of the key", async () => {
    const dir = tempDir();
    await openIdentity({ dir });
    const file = join(dir, "identity.json");
    const whole = readFileSync(file, "utf8");
    const other = JSON.parse(readFileSync(join(await otherDir(), "identity.json"), "utf8")) as { publicKey: string };
    const mixed = JSON.stringify({ ...(JSON.parse(whole) as object), publicKey: other.publicKey });
    for (const damaged of ["", whole.slice(0, 40), "[]", "null", '{"publicKey":1}', mixed]) {
      writeFileSync(file, damaged);
      const error = await openIdentity({ dir }).then(
        () => undefined,
        (e: unknown) => e as Error & { code: string },
      );
      expect(error?.code).toBe("identity-unreadable");
      expect(error?.message).toContain(file);
      expect(error?.message).not.toContain((JSON.parse(whole) as { privateKey: string }).privateKey);
      expect(readFileSync(file, "utf8")).toBe(damaged);
    }
  });

  it("that was set aside is kept under a dated name, and the next one is new and not enrolled", async () => {
    const dir = tempDir();
    const old = await enrolledIdentity(company(), dir);
    await setIdentityAside({ dir, now: Date.UTC(2026, 10, 2) });
    const next = await openIdentity({ dir });
    expect(next.id).not.toBe(old.id);
    expect(next.enrollment).toBeUndefined();
    expect(readdirSync(dir).filter((name) => name.includes("aside-2026-11-02"))).toHaveLength(2);
  });

  it("does not use an enrollment that belongs to another key", async () => {
    const dir = tempDir();
    await enrolledIdentity(company(), dir);
    const elsewhere = tempDir();
    await openIdentity({ dir: elsewhere });
    writeFileSync(join(elsewhere, "enrollment.json"), readFileSync(join(dir, "enrollment.json")));
    expect((await openIdentity({ dir: elsewhere })).enrollment).toBeUndefined();
  });
});

async function otherDir(): Promise<string> {
  const dir = tempDir();
  await openIdentity({ dir });
  return dir;
}
