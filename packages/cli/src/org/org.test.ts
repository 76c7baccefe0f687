/** `daicho org …` against a real server on a socket. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { silentLog } from "@daicho/kernel";
import { createServer, loadServerConfig, type Server } from "@daicho/server";
import { daicho, type Ran } from "../testing/run.ts";

const dir = mkdtempSync(join(tmpdir(), "daicho-cli-org-"));
let server: Server;
let client: readonly string[];
const call = (...args: readonly string[]): Promise<Ran> => daicho([...args, ...client]);
const file = (name: string, content: string): string => {
  writeFileSync(join(dir, name), content);
  return join(dir, name);
};

beforeAll(async () => {
  const database = `sqlite:${join(dir, "d.db")}`;
  const config = file(
    "server.yaml",
    JSON.stringify({ role: "corporate", name: "acme", listen: "127.0.0.1:0", database, data: dir }),
  );
  server = await createServer({ config: loadServerConfig({ file: config, env: {} }), log: silentLog });
  const { url } = await server.start();
  client = ["--server", url, "--token", (await daicho(["admin", "token", "--config", config])).out.trim()];
  for (const [kind, text] of [
    ["departments", "code,name,manager\nD1,One,\nD2,Two,E1\n"],
    ["employees", "id,name,department\nE1,One,D2\n"],
    ["devices", "id,employee\nPC1,E1\n"],
    ["rights", "department,license,rights\nD2,@A,3\n"],
  ] as const)
    expect(await call("import", kind, file(`${kind}.csv`, text))).toMatchObject({ status: 0 });
});
afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

it("previews and applies the changes of a file", { timeout: 60_000 }, async () => {
  const changes = file(
    "change.json",
    JSON.stringify({
      changes: [
        { type: "leave", employee: "E1" },
        { type: "merge", department: "D2", to: "D1" },
      ],
    }),
  );
  const preview = await call("org", "preview", changes);
  expect(preview).toMatchObject({ status: 0 });
  expect(preview.out).toMatch(/nothing was kept/);
  expect(preview.out).toMatch(/D2 +dissolved +D1/);
  expect(preview.out).toMatch(/D1 +@A +0 +0 +0 +3/);
  expect(preview.out).toMatch(/PC1 +E1 +D1/);
  expect(preview.err).toMatch(/warning: \/changes\/0\/employee: E1 leaves and is the manager of D2/);
  expect((await call("org", "apply", changes)).out).toMatch(/: applied/);
  expect(JSON.parse((await call("report", "departments", "--json")).out)).toMatchObject({
    items: [{ department: "D1", license: "@A", rights: 3 }],
  });
  expect(await call("org", "apply", changes)).toMatchObject({
    status: 1,
    err: expect.stringMatching(/\/changes\/0\/employee: E1 has left/) as string,
  });
});

it("a file that is no request is refused with its name", async () => {
  for (const text of ["{", "[]", "3"])
    expect(await call("org", "preview", file("bad.json", text))).toMatchObject({
      status: 1,
      err: expect.stringMatching(/bad\.json: .*\[file-invalid\]/) as string,
    });
});
