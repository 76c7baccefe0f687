import { afterEach, describe, expect, it } from "vitest";
import { canonicalJson, createSigner, generateKeyPair, signDocument, type EnterprisePolicy } from "@daicho/protocol";
import { silentLog, systemClock } from "@daicho/kernel";
import { createEvents } from "../../events.ts";
import { enterprisePolicy, localPolicy } from "../../testing/policies.ts";
import { startServer, until, type TestServer } from "../../testing/server.ts";
import { onlyServer } from "../../testing/servers.ts";
import { forEachStore } from "../../testing/stores.ts";
import { createPolicies, type Policies } from "./index.ts";

const yaml = "application/yaml";
interface Problem {
  readonly code: string;
  readonly faults: readonly {
    readonly file: string;
    readonly line: number;
    readonly column: number;
    readonly code: string;
  }[];
}

forEachStore((store) => {
  const open: { stop(): unknown }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.stop();
  });
  const start = async (role: "corporate" | "group" | "both"): Promise<TestServer> => {
    const server = await startServer(store, { role });
    open.push(server);
    return server;
  };
  const put = (server: TestServer, edition: string, body: string, type = yaml) =>
    server.api("PUT", `/api/v1/policies/${edition}`, { body, type });

  describe("publishing (domain.md §2)", () => {
    it("a policy comes back exactly as it was written, with an ETag", async () => {
      const server = await start("both");
      const text = `\ufeff# 標準ポリシー\r\n${enterprisePolicy(7)}`;
      expect((await put(server, "enterprise", text)).json()).toMatchObject({
        version: 7,
        generation: 1,
        changed: true,
      });
      const back = await server.api("GET", "/api/v1/policies/enterprise");
      // fetch's text() drops a byte order mark, so the bytes are what is compared.
      const bytes = await fetch(`${server.url}/api/v1/policies/enterprise`, {
        headers: {
          authorization: `Bearer ${(await server.server.access.createApiToken({ name: "x", role: "auditor" })).token}`,
        },
      }).then((r) => r.arrayBuffer());
      expect(Buffer.from(bytes).toString("utf8")).toBe(text);
      expect(back.headers.get("content-type")).toMatch("application/yaml");
      const again = await server.api("GET", "/api/v1/policies/enterprise", {
        headers: { "if-none-match": back.headers.get("etag") ?? "" },
      });
      expect(again.status).toBe(304);
    });

    it("JSON is taken and given back as JSON", async () => {
      const server = await start("both");
      const text = JSON.stringify({ daicho: "policy/v1", id: "g", edition: "enterprise", version: 1, software: [] });
      expect((await put(server, "enterprise", text, "application/json")).status).toBe(200);
      const back = await server.api("GET", "/api/v1/policies/enterprise");
      expect(back.text).toBe(text);
      expect(back.headers.get("content-type")).toMatch("application/json");
    });

    it("every fault is named with its place, and nothing is applied", async () => {
      const server = await start("both");
      const text = `${enterprisePolicy(1)}licenses:\n  - rule: "@NONE AND = @X"\n  - rule: "@MISSING = @Y"\n`;
      const answer = await put(server, "enterprise", text);
      expect(answer.status).toBe(400);
      const problem = answer.json<Problem>();
      expect(problem.code).toBe("policy-invalid");
      expect(problem.faults).toEqual([
        expect.objectContaining({ file: "enterprise", line: 10, code: "unexpected-token" }),
        expect.objectContaining({ file: "enterprise", line: 11, column: 12, code: "unknown-code" }),
      ]);
      expect((await server.api("GET", "/api/v1/policies/enterprise")).status).toBe(404);
      expect((await server.api("GET", "/api/v1/dictionary")).status).toBe(404);
    });

    it("versions only rise; the same version with the same text is no change, with another text it is refused", async () => {
      const server = await start("both");
      const changed: number[] = [];
      await put(server, "enterprise", enterprisePolicy(2));
      changed.push(server.server.policies.current().generation);
      expect((await put(server, "enterprise", enterprisePolicy(2))).json()).toMatchObject({
        version: 2,
        changed: false,
      });
      for (const wrong of [enterprisePolicy(2, ["@OTHER"]), enterprisePolicy(1)]) {
        const answer = await put(server, "enterprise", wrong);
        expect(answer.json<Problem>().faults).toEqual([
          expect.objectContaining({ code: "version-not-risen", line: 4 }),
        ]);
      }
      const renamed = await put(server, "enterprise", enterprisePolicy(1).replace("group-standard", "renamed"));
      expect(renamed.json<Problem>().faults[0]?.code).toBe("version-not-risen");
      expect(server.server.policies.current().generation).toBe(changed[0]);
    });

    it("a local edition may use enterprise codes and may not redefine them", async () => {
      const server = await start("both");
      await put(server, "enterprise", enterprisePolicy(1));
      const redefining = await put(server, "local", localPolicy(1, ["@LIBO7"]));
      expect(redefining.json<Problem>().faults).toEqual([
        expect.objectContaining({ code: "redefined-code", file: "local" }),
      ]);
      const using = `${localPolicy(1)}licenses:\n  - rule: "@LIBO7 AND @INHOUSE = @PAIR"\n`;
      expect((await put(server, "local", using)).status).toBe(200);
      expect(
        (await put(server, "local", using.replace("@INHOUSE = @PAIR", "@INHOUSE = @TWO"))).json<Problem>().faults[0]
          ?.code,
      ).toBe("version-not-risen");
      expect(server.server.policies.current().licensePolicy?.rules.map((r) => r.place)).toEqual(["acme-local:10:12"]);
    });

    it("an edition sent as the other one, text that is not UTF-8 and an empty body are refused", async () => {
      const server = await start("both");
      expect((await put(server, "enterprise", localPolicy(1))).json<Problem>().faults[0]?.code).toBe("wrong-edition");
      expect((await put(server, "enterprise", "")).status).toBe(400);
      const latin = await fetch(`${server.url}/api/v1/policies/enterprise`, {
        method: "PUT",
        body: Buffer.from([0x64, 0xe9, 0x3a]),
        headers: {
          "content-type": yaml,
          authorization: `Bearer ${(await server.server.access.createApiToken({ name: "x", role: "admin" })).token}`,
        },
      });
      expect(latin.status).toBe(400);
      expect(
        (await server.api("PUT", "/api/v1/policies/enterprise", { body: "<a/>", type: "application/xml" })).status,
      ).toBe(415);
    });

    it("each role of server takes the edition that belongs to it", async () => {
      const group = await start("group");
      expect((await put(group, "local", localPolicy(1))).json<Problem>().code).toBe("wrong-role");
      expect((await put(group, "enterprise", enterprisePolicy(1))).status).toBe(200);
      const corporate = await start("corporate");
      expect((await put(corporate, "enterprise", enterprisePolicy(1))).json<Problem>().code).toBe("wrong-role");
      expect((await put(corporate, "local", localPolicy(1))).status).toBe(200);
    });

    it("only an administrator publishes, everyone with a token reads", async () => {
      const server = await start("both");
      const body = enterprisePolicy(1);
      expect((await server.api("PUT", "/api/v1/policies/enterprise", { body, type: yaml, as: "manager" })).status).toBe(
        403,
      );
      expect((await server.api("GET", "/api/v1/policies", { as: "nobody" })).status).toBe(401);
      expect((await server.api("GET", "/api/v1/policies", { as: "auditor" })).status).toBe(200);
    });
  });

  describe("generation and selection (domain.md §2)", () => {
    it("a change that alters nothing but text and version makes no new dictionary, but is in force", async () => {
      const server = await start("both");
      await put(server, "enterprise", enterprisePolicy(1));
      const before = server.server.policies.current();
      await put(server, "enterprise", `${enterprisePolicy(2)}# a remark\n`);
      const after = server.server.policies.current();
      expect(after.etag).toBe(before.etag);
      expect(after).toMatchObject({ generation: 1, enterprise: 2 });
      expect((await server.api("GET", "/api/v1/policies")).json()).toMatchObject({
        items: [{ edition: "enterprise", version: 2, inForce: true }],
      });
    });

    it("a selection keeps what it names; null is all; a code that is no licence is refused", async () => {
      const server = await start("both");
      await put(server, "enterprise", enterprisePolicy(1, ["@A1", "@B1"]));
      const select = (licenses: string[] | null) =>
        server.api("PUT", "/api/v1/policies/selection", { json: { licenses } });
      expect((await select(["@B1"])).json()).toMatchObject({ licenses: ["@B1"] });
      expect(server.server.policies.current()).toMatchObject({
        generation: 2,
        dictionary: { software: [{ code: "@B1" }] },
      });
      const wrong = await select(["@B1", "@NO"]);
      expect(wrong.json()).toMatchObject({ code: "input-invalid", faults: [{ path: "/licenses/1" }] });
      expect((await select(null)).json()).toMatchObject({ licenses: null });
      expect(server.server.policies.current().dictionary?.software).toHaveLength(2);
      expect((await select([])).json()).toMatchObject({ licenses: [] });
    });

    it("a restart finds the same generation", async () => {
      const database = await store.url();
      const first = await startServer(store, { role: "both", database });
      await put(first, "enterprise", enterprisePolicy(3));
      const before = first.server.policies.current();
      await first.stop();
      const second = await startServer(store, { role: "both", database });
      open.push(second);
      expect(second.server.policies.current()).toEqual(before);
    });
  });

  describe("from above (domain.md §2)", () => {
    const signer = createSigner(generateKeyPair());
    const own = createSigner(generateKeyPair());
    async function policies(): Promise<{ policies: Policies; heard: string[] }> {
      const db = await store.open();
      const events = createEvents(silentLog);
      const heard: string[] = [];
      events.on("dictionary-changed", ({ version }) => heard.push(`dictionary ${version}`));
      const made = await createPolicies({
        servers: onlyServer,
        db,
        signer: () => own,
        events,
        clock: systemClock,
        log: silentLog,
        company: "acme",
        generates: true,
      });
      open.push(made);
      return { policies: made, heard };
    }
    const receive = (to: Policies, version: number, text = enterprisePolicy(version)) => {
      const policy: EnterprisePolicy = {
        daicho: "enterprise-policy/v1",
        group: "group",
        id: "group-standard",
        version,
        publishedAt: "2026-11-01T00:00:00Z",
        text,
      };
      return to.receive(policy, signDocument("enterprise-policy/v1", canonicalJson(policy), signer));
    };

    it("an older version, or another text under a version held, is refused and changes nothing", async () => {
      const { policies: held, heard } = await policies();
      expect(await receive(held, 5)).toEqual({ kind: "applied" });
      expect(await receive(held, 5)).toEqual({ kind: "unchanged" });
      expect(await receive(held, 4)).toMatchObject({ kind: "refused", fault: { code: "document-older" } });
      expect(await receive(held, 5, enterprisePolicy(5, ["@EVIL"]))).toMatchObject({
        fault: { code: "document-altered" },
      });
      expect(await receive(held, 6, enterprisePolicy(7))).toMatchObject({ fault: { code: "document-malformed" } });
      expect(await receive(held, 6, "daicho: nonsense")).toMatchObject({ fault: { code: "policy-invalid" } });
      expect(held.state()).toMatchObject({ enterprise: 5, generation: 1, fault: undefined });
      expect(heard).toEqual(["dictionary 1"]);
    });

    it("where the local edition conflicts with it, the generation before stays in force and the reason is named, until one is corrected", async () => {
      const { policies: held } = await policies();
      await receive(held, 1);
      await held.publish("local", localPolicy(1, ["@CLASH"]));
      const before = held.current();
      expect(await receive(held, 2, enterprisePolicy(2, ["@LIBO7", "@CLASH"]))).toEqual({ kind: "applied" });
      expect(held.current()).toEqual(before);
      expect(held.state()).toMatchObject({
        enterprise: 2,
        inForce: { enterprise: 1, local: 1 },
        fault: { code: "policy-conflict" },
      });
      expect(held.state().fault?.message).toMatch(/local:6:.*@CLASH/);
      await held.publish("local", localPolicy(2, ["@MINE"]));
      expect(held.state()).toMatchObject({ inForce: { enterprise: 2, local: 2 }, generation: 3, fault: undefined });
    });
  });

  it("two publications at once: one wins, the other is told, and the winner's dictionary is in force", async () => {
    const server = await start("both");
    const answers = await Promise.all(
      ["@A1", "@B1", "@C1"].map((code) => put(server, "enterprise", enterprisePolicy(1, [code]))),
    );
    expect(answers.map((a) => a.status).sort()).toEqual([200, 400, 400]);
    expect(server.server.policies.current()).toMatchObject({ generation: 1, enterprise: 1 });
  });

  if (store.name === "postgres")
    it("a second server on the same database follows what the first one publishes", async () => {
      const database = await store.url();
      const first = await startServer(store, { role: "both", database });
      const second = await startServer(store, { role: "both", database });
      open.push(first, second);
      await put(first, "enterprise", enterprisePolicy(1));
      await until("the second server's dictionary", () => second.server.policies.current().generation === 1);
      expect(second.server.policies.current()).toEqual(first.server.policies.current());
    });
});
