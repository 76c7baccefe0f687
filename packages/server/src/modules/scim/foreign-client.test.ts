/**
 * SCIM clients that are not ours, against a server that listens on a socket. Requests are made by GitHub's client of SCIM (`@octokit/plugin-enterprise-cloud`),
 * answers are read by a SCIM library (`scimmy`) that refuses what does not fit RFC 7643. Neither knows of Daicho. And the steps that Okta's specification
 * test takes (https://developer.okta.com/docs/guides/scim-provisioning-integration-prepare/), as its headers and addresses come over the wire.
 */
import { Octokit } from "@octokit/core";
import { enterpriseCloud } from "@octokit/plugin-enterprise-cloud";
import { Messages, Schemas } from "scimmy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";

type Json = Record<string, unknown>;
const enterprise = "acme";
const extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const userSchemas = ["urn:ietf:params:scim:schemas:core:2.0:User", extension];
const groupSchemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"];
const patchSchemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
const errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error";
const policy = `daicho: policy/v1
id: acme-local
edition: local
version: 1
software:
  - { code: "@DEV1", name: Per device, detect: package(name = "dev") }
  - { code: "@USR1", name: Per user, detect: package(name = "usr") }
licenses:
  - { rule: "@DEV1 = @DEV", name: Per device, metric: device }
  - { rule: "@USR1 = @USR", name: Per user, metric: user }
`;

if (!Schemas.User.definition.attributes.some(({ name }: { name: string }) => name === extension))
  Schemas.User.extend(Schemas.EnterpriseUser as never);

/** @throws where the resource is not what its schema says */
function fits(resource: Json): Json {
  const { resourceType } = resource["meta"] as { resourceType: string };
  const read = resourceType === "User" ? new Schemas.User(resource, "out") : new Schemas.Group(resource, "out");
  expect(read["id"]).toBe(resource["id"]);
  return resource;
}

forEachStore((store) => {
  let server: TestServer;
  let token: string;
  let github: Octokit & ReturnType<typeof enterpriseCloud>;

  beforeAll(async () => {
    server = await startServer(store, { role: "corporate" });
    const published = await server.api("PUT", "/api/v1/policies/local", { body: policy, type: "text/yaml" });
    expect(published.status).toBe(200);
    token = (await server.server.access.createApiToken({ name: "IdP", role: "provisioner" })).token;
    const Client = Octokit.plugin(enterpriseCloud);
    github = new Client({
      baseUrl: server.url,
      log: { debug() {}, info() {}, warn() {}, error() {} },
      request: {
        // GitHub has the name of the enterprise in the address, as a proxy before several servers would.
        fetch: (url: string, init: RequestInit) => fetch(url.replace(`/enterprises/${enterprise}`, ""), init),
      },
    });
    github.hook.before("request", (options) => void (options.headers.authorization = `Bearer ${token}`));
  }, 120_000);
  afterAll(() => server.stop());

  const send = async (method: string, path: string, body?: Json) => {
    const address = `${method} /scim/v2/enterprises/{enterprise}${path}`;
    const answer = await github.request(address, { enterprise, ...(body !== undefined && { data: body }) });
    return { status: answer.status, body: (answer.data ?? {}) as Json };
  };
  /** The client's own method of this name. */
  const admin = async (name: string, parameters: Json) => {
    const call = github["enterpriseAdmin"]?.[name];
    if (call === undefined) throw new Error(`the client has no ${name}`);
    const answer = await call({ enterprise, ...parameters });
    return { status: answer.status as number, body: (answer.data ?? {}) as Json };
  };
  const refusal = (sent: Promise<unknown>): Promise<{ status: number; body: Json }> =>
    sent.then(
      () => expect.fail("was not refused"),
      (error: { status: number; response: { data: Json } }) => ({ status: error.status, body: error.response.data }),
    );
  const ledger = async (path: string): Promise<Json> => (await server.api("GET", `/api/v1${path}`)).json();
  const used = async (department: string, license: string): Promise<number> => {
    const { items } = (await ledger(`/departments/${department}/positions`)) as { items: { license: string; used: number }[] }; // prettier-ignore
    return items.find((item) => item.license === license)?.used ?? 0;
  };
  const clean = async () => expect((await ledger("/reconcile"))["differences"]).toEqual([]);
  async function installed(employee: string): Promise<void> {
    const id = `PC-${employee}`;
    await server.api("PUT", `/api/v1/devices/${id}`, { json: { employee } });
    const software = ["dev", "usr"].map((name) => ({ name, version: "1", source: "dpkg" }));
    const scan = { startedAt: "2026-11-01T00:00:00Z", durationMs: 1, errors: [] };
    const inventory = { daicho: "inventory/v1", device: { id, hostname: id }, hardware: {}, software, scan };
    const answer = await server.api("POST", "/api/v1/imports/inventories", { json: inventory });
    expect(answer.json<{ items: Json[] }>().items).toMatchObject([{ status: "stored" }]);
  }
  const person = (name: string, more: Json = {}): Json => ({
    schemas: userSchemas,
    externalId: name,
    userName: `${name}@example.com`,
    displayName: `Given ${name}`,
    name: { givenName: "Given", familyName: name },
    active: true,
    emails: [{ value: `${name}@example.com`, type: "work", primary: true }],
    ...more,
  });

  describe("GitHub's client", () => {
    it("provisions people with department and manager, finds, renames, moves and removes them; what they use goes with them (issue 3)", async () => {
      const chief = fits((await send("POST", "/Users", person("chief", { [extension]: { department: "HQ" } }))).body);
      const made = await send(
        "POST",
        "/Users",
        person("hana", {
          [extension]: { employeeNumber: "H-1", department: "Sales", manager: { value: chief["id"] } },
        }),
      );
      expect(made.status).toBe(201);
      const hana = fits(made.body);
      await installed("H-1");
      expect(await ledger("/employees/H-1")).toMatchObject({ department: "Sales", manager: "chief" });
      expect([await used("Sales", "@DEV"), await used("Sales", "@USR")]).toEqual([1, 1]);

      const { body: list } = await admin("listProvisionedIdentitiesEnterprise", {
        startIndex: 1,
        count: 1,
        filter: 'userName eq "HANA@example.com"',
      });
      const page = new Messages.ListResponse(list as never);
      expect([page.totalResults, page.Resources.length]).toEqual([1, 1]);
      expect(fits(page.Resources[0] as Json)).toEqual(hana);

      const renamed = await admin("updateAttributeForEnterpriseUser", {
        scim_user_id: String(hana["id"]),
        schemas: patchSchemas,
        Operations: [
          { op: "replace", path: "name.familyName", value: "Sato" },
          { op: "replace", path: "displayName", value: "Hana Sato" },
          { op: "replace", path: 'emails[type eq "work"].value', value: "sato@example.com" },
        ],
      });
      expect(fits(renamed.body)).toMatchObject({ emails: [{ value: "sato@example.com" }] });
      expect(await ledger("/employees/H-1")).toMatchObject({ name: "Hana Sato", mail: "sato@example.com" });

      const moved = await send("PATCH", `/Users/${String(hana["id"])}`, {
        schemas: patchSchemas,
        Operations: [{ op: "replace", value: { [extension]: { department: "Support" } } }],
      });
      fits(moved.body);
      expect([await used("Sales", "@DEV"), await used("Support", "@DEV"), await used("Support", "@USR")]).toEqual([0, 1, 1]); // prettier-ignore

      const away = await send("PUT", `/Users/${String(hana["id"])}`, { ...moved.body, active: false });
      expect(fits(away.body)["active"]).toBe(false);
      expect([await used("Support", "@DEV"), await used("Support", "@USR")]).toEqual([1, 0]);
      expect((await ledger("/hand-overs"))["items"]).toMatchObject([{ employee: "H-1", device: "PC-H-1" }]);
      const back = await send("PATCH", `/Users/${String(hana["id"])}`, {
        schemas: patchSchemas,
        Operations: [{ op: "Replace", path: "active", value: "True" }],
      });
      expect(fits(back.body)["active"]).toBe(true);
      expect(await ledger("/employees/H-1")).toMatchObject({ state: "active", department: "Support" });

      const gone = await admin("deleteUserFromEnterprise", {
        scim_user_id: String(hana["id"]),
      });
      expect(gone.status).toBe(204);
      expect((await refusal(send("GET", `/Users/${String(hana["id"])}`))).status).toBe(404);
      expect(await ledger("/employees/H-1")).toMatchObject({ state: "left" });
      await clean();
    });

    it("keeps departments as groups, one in the other, with their members", async () => {
      const kenji = fits((await send("POST", "/Users", person("kenji"))).body);
      await installed("kenji");
      const { body: made } = await admin("provisionEnterpriseGroup", {
        schemas: groupSchemas,
        externalId: "EAST",
        displayName: "East",
        members: [{ value: String(kenji["id"]), displayName: "Kenji" }],
      });
      const east = fits(made);
      expect(await ledger("/employees/kenji")).toMatchObject({ department: "EAST" });
      const west = fits((await send("POST", "/Groups", { schemas: groupSchemas, externalId: "WEST", displayName: "West" })).body); // prettier-ignore

      await admin("updateAttributeForEnterpriseGroup", {
        scim_group_id: String(west["id"]),
        schemas: patchSchemas,
        Operations: [{ op: "add", path: "members", value: [{ value: kenji["id"] }, { value: east["id"] }] }],
      });
      const { body: shown } = await admin("getProvisioningInformationForEnterpriseGroup", {
        scim_group_id: String(west["id"]),
      });
      expect((fits(shown)["members"] as Json[]).map((m) => [m["type"], m["value"]])).toEqual([
        ["Group", east["id"]],
        ["User", kenji["id"]],
      ]);
      expect([await used("EAST", "@USR"), await used("WEST", "@USR")]).toEqual([0, 1]);
      expect(await ledger("/departments/EAST")).toMatchObject({ parent: "WEST" });

      await send("PATCH", `/Groups/${String(west["id"])}`, {
        schemas: patchSchemas,
        Operations: [{ op: "remove", path: `members[value eq "${String(kenji["id"])}"]` }],
      });
      expect([await used("WEST", "@USR"), await used("unassigned", "@USR")]).toEqual([0, 1]);
      await admin("deleteScimGroupFromEnterprise", {
        scim_group_id: String(east["id"]),
      });
      expect((await refusal(send("GET", `/Groups/${String(east["id"])}`))).status).toBe(404);
      await clean();
    });

    it("understands every refusal", async () => {
      await send("POST", "/Users", person("once"));
      const twice = await refusal(send("POST", "/Users", person("once")));
      expect([twice.status, twice.body["scimType"]]).toEqual([409, "uniqueness"]);
      const filter = await refusal(send("GET", "/Users?filter=userName%20near%20%22x%22"));
      expect([filter.status, filter.body["scimType"]]).toEqual([400, "invalidFilter"]);
      const deep = `${"(".repeat(5000)}userName pr${")".repeat(5000)}`;
      const nested = await refusal(send("GET", `/Users?filter=${encodeURIComponent(deep)}`));
      expect([nested.status, nested.body["schemas"]]).toEqual([400, [errorSchema]]);
      const huge = await refusal(send("POST", "/Users", person("huge", { title: "x".repeat(5 << 20) })));
      expect([huge.status, huge.body["schemas"]]).toEqual([413, [errorSchema]]);
      const bulk = await refusal(send("POST", "/Bulk", { Operations: [] }));
      expect([bulk.status, bulk.body["status"]]).toEqual([501, "501"]);
      // Given an error that is well formed, the library throws what it says.
      for (const { body } of [twice, filter, nested, huge, bulk])
        expect(() => new Messages.ErrorResponse(body as never)).toThrow(body["detail"]);
    });
  });

  it("takes the steps of Okta's specification test", async () => {
    const okta = async (method: string, path: string, json?: Json, authorization = `Bearer ${token}`) => {
      const answer = await fetch(`${server.url}/scim/v2${path}`, {
        method,
        headers: {
          authorization,
          accept: "application/scim+json",
          "accept-charset": "utf-8",
          "user-agent": "OKTA SCIM Integration",
          "content-type": json === undefined ? "application/scim+json; charset=utf-8" : "application/json",
        },
        ...(json !== undefined && { body: JSON.stringify(json) }),
      });
      return { status: answer.status, body: (await answer.json()) as Json };
    };
    const user = { schemas: userSchemas.slice(0, 1), userName: "Okta.User@example.com", name: { givenName: "Okta", familyName: "User" }, emails: [{ primary: true, value: "okta.user@example.com", type: "work" }], displayName: "Okta User", active: true }; // prettier-ignore
    expect((await okta("GET", '/Users?filter=userName eq "okta.user@example.com"')).body).toMatchObject({ totalResults: 0 }); // prettier-ignore
    const made = await okta("POST", "/Users", user);
    expect([made.status, made.body]).toMatchObject([201, user]);
    const id = String(made.body["id"]);
    expect((await okta("GET", `/Users/${id}`)).body).toEqual(made.body);
    expect((await okta("POST", "/Users", { ...user, emails: [] })).status).toBe(409);
    expect((await okta("GET", '/Users?filter=userName eq "OKTA.USER@EXAMPLE.COM"')).body).toMatchObject({ totalResults: 1, Resources: [{ id }] }); // prettier-ignore
    const page = await okta("GET", "/Users?count=1&startIndex=1");
    expect(page.body).toMatchObject({ itemsPerPage: 1, startIndex: 1, schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"] }); // prettier-ignore
    for (const attribute of ["id", "userName", "name", "active", "emails"])
      expect((page.body["Resources"] as Json[])[0]?.[attribute]).toBeDefined();
    expect(await okta("GET", "/Groups")).toMatchObject({
      status: 200,
      body: { Resources: expect.any(Array) as never },
    });
    for (const path of ["/Users/00919288221112222", "/Users/not-there"])
      expect(await okta("GET", path)).toMatchObject({ status: 404, body: { status: "404", schemas: [errorSchema], detail: expect.any(String) as never } }); // prettier-ignore
    expect(await okta("GET", "/Users?count=1", undefined, "non-token")).toMatchObject({ status: 401, body: { status: "401", schemas: [errorSchema], detail: expect.any(String) as never } }); // prettier-ignore
  });
});
