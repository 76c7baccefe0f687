/** What a node or an agent's command says when the machine refuses it: a directory is a directory, and an address is an address. */
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { daicho } from "../testing/run.ts";

const dir = mkdtempSync(join(tmpdir(), "daicho-cli-nodes-"));
afterAll(() => rmSync(dir, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const token = `dct1.${"a".repeat(43)}.${"0".repeat(32)}`;

it("a data directory that cannot be made is named, by relay and agent alike", async () => {
  const inside = join(file("occupied", ""), "data");
  const relay = [`name: r`, `listen: 127.0.0.1:0`, `upstream: ["http://127.0.0.1:9"]`, `data: ${inside}`].join("\n");
  for (const args of [
    ["relay", "--config", file("relay.yaml", relay)],
    ["agent", "enroll", "--upstream", "http://127.0.0.1:9", "--token", token, "--data", inside],
  ]) {
    const { status, out, err } = await daicho(args);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err.trimEnd().split("\n").at(-1)).toBe(
      `daicho: ${inside}: cannot be used (ENOTDIR) [path-unusable] Check the path, its permissions and the free space.`,
    );
  }
});

it("a directory that may not be looked into is not said to be empty", async () => {
  const loop = join(dir, "loop");
  symlinkSync("loop", loop);
  expect((await daicho(["agent", "status", "--data", loop])).err).toMatch(/loop\S*: cannot be used \(ELOOP\)/);
  expect((await daicho(["doctor", "--data", loop])).out).toMatch(/WRONG +identity .*loop\S*: .*ELOOP/);
});

it("a server that cannot listen says where", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const config = file("server.yaml", `role: both\nname: a\nlisten: 127.0.0.1:${port}\ndatabase: "sqlite::memory:"\n`);
  try {
    expect((await daicho(["server", "--config", config])).err).toContain(
      `server.yaml: cannot listen on 127.0.0.1:${port} (EADDRINUSE) [node-not-started]`,
    );
  } finally {
    taken.close();
  }
});
