import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { afterEach, expect, it } from "vitest";
import { enrollNode } from "../testing/nodes.ts";
import { startServer, until, type TestServer } from "../testing/server.ts";
import { forEachStore } from "../testing/stores.ts";

forEachStore((store) => {
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  const start = async (): Promise<TestServer> => {
    const server = await startServer(store, { role: "both" });
    ends.push(() => server.stop());
    return server;
  };
  /** Announces a body that never comes. */
  const announce = (server: TestServer, method: string, path: string, headers: object = {}): ClientRequest => {
    const asked = request(`${server.url}${path}`, {
      method,
      headers: { "content-type": "application/json", "content-length": 1_000_000, ...headers },
    });
    asked.on("error", () => undefined);
    asked.flushHeaders();
    ends.push(() => asked.destroy());
    return asked;
  };
  const statusOf = async (asked: ClientRequest): Promise<number | undefined> =>
    ((await once(asked, "response")) as [IncomingMessage])[0].statusCode;

  it("of a stranger no route between nodes waits for the body", async () => {
    const server = await start();
    for (const path of ["reports", "titles", "status", "company-positions"])
      expect([path, await statusOf(announce(server, "POST", `/ingest/v1/${path}`))]).toEqual([path, 401]);
  });

  it("an agent has a few requests under way at once; who sends bodies for ever does not take the room of others", async () => {
    const server = await start();
    const agent = async (name: string) => {
      const token = await server.enrollmentToken(1);
      const node = await enrollNode({ url: server.url, token, kind: "agent", name });
      ends.push(() => node.stop());
      return node;
    };
    const [evil, other] = [await agent("evil"), await agent("other")];
    const authorization = evil.uplink.authorization();
    for (let i = 0; i < 4; i++) announce(server, "POST", "/ingest/v1/reports", { authorization });
    await until("its share to be taken", async () => {
      const asked = announce(server, "POST", "/ingest/v1/reports", { authorization });
      const answered = await Promise.race([statusOf(asked), new Promise((resolve) => setTimeout(resolve, 200))]);
      asked.destroy();
      return answered === 503;
    });
    expect(await other.uplink.unknownTitles(Buffer.alloc(0))).toMatchObject({ kind: "ok" });
  });
});
