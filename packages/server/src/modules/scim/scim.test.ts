import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";

type Json = Record<string, unknown>;
interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly headers: Headers;
}

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const patchOp = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/** A SCIM client: what it sends is what identity providers send (guides/scim.md says where that is written down). */
function clientOf(server: TestServer) {
  const call = async (method: string, path: string, json?: unknown, headers: object = {}): Promise<Answer> => {
    const answer = await server.api(method, `/scim/v2${path}`, {
      as: "provisioner",
      ...(json !== undefined && { json, type: "application/scim+json" }),
      headers,
    });
    return {
      status: answer.status,
      body: answer.text === "" ? {} : answer.json<Json>(),
      headers: answer.headers,
    };
  };
  return {
    call,
    patch: (path: string, ...operations: readonly Json[]) =>
      call("PATCH", path, { schemas: [patchOp], Operations: operations }),
    async create(path: string, json: Json): Promise<string> {
      const made = await call("POST", path, json);
      expect([made.status, made.body["detail"]]).toEqual([201, undefined]);
      return made.body["id"] as string;
    },
    find: async (path: string, filter: string): Promise<Json[]> => {
      const found = await call("GET", `${path}?filter=${encodeURIComponent(filter)}`);
      expect([found.status, found.body["detail"]]).toEqual([200, undefined]);
      return found.body["Resources"] as Json[];
    },
  };
}

/** As Entra ID creates a user. */
const entraUser = (name: string, more: Json = {}): Json => ({
  schemas: ["urn:ietf:params:scim:schemas:core:2.0:User", enterprise],
  externalId: `ext-${name}`,
  userName: `${name}@example.com`,
  active: true,
  displayName: `Display ${name}`,
  emails: [{ primary: true, type: "work", value: `${name}@example.com` }],
  meta: { resourceType: "User" },
  name: { formatted: `Given ${name}`, familyName: name, givenName: "Given" },
  roles: [],
  ...more,
});

forEachStore((store) => {
  let server: TestServer;
  let scim: ReturnType<typeof clientOf>;
  const employee = async (id: string): Promise<Json> => (await server.api("GET", `/api/v1/employees/${id}`)).json();
  const departmentPosition = async (code: string): Promise<Json[]> =>
    (await server.api("GET", `/api/v1/departments/${code}/positions`)).json<{ items: Json[] }>().items;
  const usedBy = async (code: string, license: string): Promise<number> =>
    ((await departmentPosition(code)).find((p) => p["license"] === license)?.["used"] as number | undefined) ?? 0;

  beforeAll(async () => {
    server = await startServer(store, { role: "corporate" });
    scim = clientOf(server);
    const published = await server.api("PUT", "/api/v1/policies/local", { body: policy, type: "text/yaml" });
    expect([published.status, published.text.includes('code":"policy')]).toEqual([200, false]);
  }, 120_000);
  afterAll(() => server.stop());

  describe("Users (RFC 7644 §3.3–3.6)", () => {
    it("a user as Entra ID sends it becomes an employee, and comes back as it was sent", async () => {
      const made = await scim.call("POST", "/Users", entraUser("aiko", { title: "Engineer" }));
      expect(made.status).toBe(201);
      expect(made.headers.get("content-type")).toContain("application/scim+json");
      expect(made.headers.get("location")).toBe(`${server.url}/scim/v2/Users/${String(made.body["id"])}`);
      expect(made.body).toMatchObject({
        schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
        externalId: "ext-aiko",
        userName: "aiko@example.com",
        active: true,
        name: { formatted: "Given aiko", familyName: "aiko", givenName: "Given" },
        emails: [{ primary: true, type: "work", value: "aiko@example.com" }],
        meta: { resourceType: "User", location: made.headers.get("location") },
      });
      expect(await employee("ext-aiko")).toMatchObject({
        id: "ext-aiko",
        name: "Display aiko",
        mail: "aiko@example.com",
        title: "Engineer",
      });
      const read = await scim.call("GET", `/Users/${String(made.body["id"])}`);
      expect(read.body).toEqual(made.body);
      expect(await scim.find("/Users", 'userName eq "AIKO@example.com"')).toEqual([made.body]);
      expect(await scim.find("/Users", 'emails[type eq "work"].value eq "aiko@example.com"')).toHaveLength(1);
      expect(await scim.find("/Users", 'userName eq "nobody"')).toEqual([]);
    });

    it("the same userName twice is a conflict, in any case", async () => {
      await scim.create("/Users", entraUser("twice"));
      const again = await scim.call("POST", "/Users", entraUser("TWICE", { externalId: "other", emails: [] }));
      expect([again.status, again.body["scimType"], again.body["status"]]).toEqual([409, "uniqueness", "409"]);
    });

    it("Entra's PATCH: capitals, texts for booleans, filters in paths, URNs, dotted keys without a path", async () => {
      const id = await scim.create("/Users", entraUser("kenji"));
      const changed = await scim.patch(
        `/Users/${id}`,
        { op: "Replace", path: 'emails[type eq "work"].value', value: "kenji.new@example.com" },
        { op: "Add", path: 'phoneNumbers[type eq "mobile"].value', value: "+81 90 0000 0000" },
        { op: "Replace", path: `${enterprise}:employeeNumber`, value: "4711" },
        {
          op: "replace",
          value: {
            displayName: "Kenji N.",
            "name.givenName": "Kenji",
            [`${enterprise}:division`]: "East",
            id: "nonsense",
          },
        },
      );
      expect(changed.status).toBe(200);
      expect(changed.body).toMatchObject({
        displayName: "Kenji N.",
        name: { givenName: "Kenji", familyName: "kenji" },
        emails: [{ type: "work", primary: true, value: "kenji.new@example.com" }],
        phoneNumbers: [{ type: "mobile", value: "+81 90 0000 0000" }],
        [enterprise]: { employeeNumber: "4711", division: "East" },
      });
      // The employee's id stays what it was when the user was made.
      expect(await employee("ext-kenji")).toMatchObject({ name: "Kenji N.", mail: "kenji.new@example.com" });
      const empty = await scim.patch(`/Users/${id}`, { op: "Replace", path: "displayName", value: "" });
      expect(empty.body["displayName"]).toBeUndefined();
      expect(await employee("ext-kenji")).toMatchObject({ name: "Given kenji" });
    });

    it("Entra's lists of one where there is only one value: a manager without its URN, a name, the word False", async () => {
      const chief = await scim.create("/Users", entraUser("chief"));
      const id = await scim.create("/Users", entraUser("taro"));
      const alone = (value: string): Json[] => [{ $ref: null, value }];
      const changed = await scim.patch(
        `/Users/${id}`,
        {
          op: "Add",
          path: "manager",
          value: [{ $ref: `https://daicho.example/scim/v2/Users/${chief}`, value: chief }],
        },
        { op: "Replace", path: "displayName", value: alone("Taro Y.") },
        { op: "Replace", path: 'emails[type eq "work"].value', value: alone("taro.y@example.com") },
      );
      expect([changed.status, changed.body["detail"]]).toEqual([200, undefined]);
      expect(await employee("ext-taro")).toMatchObject({ name: "Taro Y.", mail: "taro.y@example.com", manager: "ext-chief" }); // prettier-ignore
      await scim.patch(`/Users/${id}`, { op: "Replace", path: "active", value: alone("False") });
      expect(await employee("ext-taro")).toMatchObject({ state: "left" });
      const several = await scim.patch(`/Users/${id}`, { op: "Replace", path: "title", value: ["one", "two"] });
      expect([several.status, several.body["scimType"]]).toEqual([400, "invalidValue"]);
    });

    it("active as the text False is leaving, active again is returning, and both are answered", async () => {
      const id = await scim.create("/Users", entraUser("mio", { [enterprise]: { department: "Leavers" } }));
      await server.api("POST", "/api/v1/entitlements", { json: { license: "@SEAT", quantity: 1 } });
      await server.api("POST", "/api/v1/allocations", { json: { license: "@SEAT", employee: "ext-mio" } });
      const allocated = async () =>
        (await server.api("GET", "/api/v1/allocations?employee=ext-mio")).json<{ items: Json[] }>().items.length;
      expect(await allocated()).toBe(1);
      const left = await scim.patch(`/Users/${id}`, { op: "Replace", path: "active", value: "False" });
      expect(left.body["active"]).toBe(false);
      expect(await allocated()).toBe(0);
      expect(await employee("ext-mio")).toMatchObject({ state: "left" });
      expect((await scim.find("/Users", 'userName eq "mio@example.com"'))[0]).toMatchObject({ active: false });
      // Changes while away are kept, and come into force on returning.
      await scim.patch(`/Users/${id}`, { op: "Replace", path: "title", value: "Returned" });
      // Okta's form: no path, an object.
      const back = await scim.patch(`/Users/${id}`, { op: "replace", value: { active: true } });
      expect(back.body).toMatchObject({ active: true, title: "Returned" });
      expect(await employee("ext-mio")).toMatchObject({ state: "active", title: "Returned", department: "Leavers" });
    });

    it("who is inactive from the first is in the ledger as one who has left, until made active", async () => {
      const id = await scim.create("/Users", entraUser("yui", { active: false }));
      expect((await scim.call("GET", `/Users/${id}`)).body["active"]).toBe(false);
      expect(await employee("ext-yui")).toMatchObject({ state: "left" });
      await scim.patch(`/Users/${id}`, { op: "Replace", path: "active", value: true });
      expect(await employee("ext-yui")).toMatchObject({ state: "active" });
    });

    it("DELETE is leaving; the user is gone, the employee stays in the ledger, and a new POST is the same person returning", async () => {
      const id = await scim.create("/Users", entraUser("nao"));
      expect((await scim.call("DELETE", `/Users/${id}`)).status).toBe(204);
      const gone = await scim.call("GET", `/Users/${id}`);
      expect([gone.status, gone.body["schemas"]]).toEqual([404, ["urn:ietf:params:scim:api:messages:2.0:Error"]]);
      expect((await scim.call("DELETE", `/Users/${id}`)).status).toBe(404);
      expect(await employee("ext-nao")).toMatchObject({ state: "left" });
      const again = await scim.create("/Users", entraUser("nao"));
      expect(again).not.toBe(id);
      expect(await employee("ext-nao")).toMatchObject({ state: "active" });
    });

    it("an employee from a file is adopted by id or mail, once", async () => {
      for (const [id, mail] of [
        ["E1", "one@csv.example"],
        ["E2", "two@csv.example"],
      ] as const)
        // prettier-ignore
        await server.api("POST", "/api/v1/employees", { json: { id, name: `From file ${id}`, mail, title: "Clerk" } });
      await scim.create("/Users", entraUser("byNumber", { emails: [], [enterprise]: { employeeNumber: "E1" } }));
      // What the client never spoke of stays.
      expect(await employee("E1")).toMatchObject({ name: "Display byNumber", mail: "one@csv.example", title: "Clerk" });
      await scim.create("/Users", entraUser("byMail", { emails: [{ value: "Two@csv.example", type: "work" }] }));
      expect(await employee("E2")).toMatchObject({ name: "Display byMail", mail: "Two@csv.example" });
      expect((await server.api("GET", "/api/v1/employees/ext-byMail")).status).toBe(404);
      const second = await scim.call("POST", "/Users", entraUser("thief", { [enterprise]: { employeeNumber: "E1" } }));
      expect([second.status, second.body["scimType"]]).toEqual([409, "uniqueness"]);
    });

    it("a department is found by code, then name, and made where there is none, with the cost centre", async () => {
      await server.api("POST", "/api/v1/departments", { json: { code: "D100", name: "Accounting" } });
      const id = await scim.create("/Users", entraUser("rin", { [enterprise]: { department: "accounting" } }));
      expect(await employee("ext-rin")).toMatchObject({ department: "D100" });
      const read = await scim.call("GET", `/Users/${id}`);
      expect(read.body[enterprise]).toEqual({ department: "accounting" });
      await scim.patch(`/Users/${id}`, { op: "Replace", path: `${enterprise}:department`, value: "D100" });
      expect(await employee("ext-rin")).toMatchObject({ department: "D100" });
      await scim.patch(
        `/Users/${id}`,
        { op: "Replace", path: `${enterprise}:costCenter`, value: "CC9" },
        { op: "Replace", path: `${enterprise}:department`, value: "New Business" },
      );
      expect(await employee("ext-rin")).toMatchObject({ department: "New-Business" });
      expect((await server.api("GET", "/api/v1/departments/New-Business")).json()).toEqual({
        code: "New-Business",
        name: "New Business",
        costCentre: "CC9",
      });
      await scim.patch(`/Users/${id}`, { op: "Remove", path: `${enterprise}:department` });
      expect((await employee("ext-rin"))["department"]).toBeUndefined();
      await server.api("POST", "/api/v1/departments", { json: { code: "A1", name: "Same name" } });
      await server.api("POST", "/api/v1/departments", { json: { code: "A2", name: "Same name" } });
      const unclear = await scim.patch(`/Users/${id}`, {
        op: "Add",
        path: `${enterprise}:department`,
        value: "same name",
      });
      expect([unclear.status, unclear.body["scimType"]]).toEqual([400, "invalidValue"]);
      expect(unclear.body["detail"]).toContain("A1, A2");
    });

    it("the manager comes as an id, as an object or with an address, changes and goes", async () => {
      const boss = await scim.create("/Users", entraUser("boss"));
      const other = await scim.create("/Users", entraUser("boss2"));
      const id = await scim.create("/Users", entraUser("worker"));
      const path = `${enterprise}:manager`;
      const added = await scim.patch(`/Users/${id}`, { op: "Add", path, value: boss });
      expect(added.body[enterprise]).toEqual({
        manager: { value: boss, $ref: `${server.url}/scim/v2/Users/${boss}`, displayName: "Display boss" },
      });
      expect(await employee("ext-worker")).toMatchObject({ manager: "ext-boss" });
      expect(await scim.find("/Users", `id eq "${id}" and manager eq "${boss}"`)).toHaveLength(1);
      await scim.patch(`/Users/${id}`, { op: "Replace", path, value: { value: other } });
      expect(await employee("ext-worker")).toMatchObject({ manager: "ext-boss2" });
      await scim.patch(`/Users/${id}`, { op: "Replace", path, value: { $ref: `../Users/${boss}` } });
      expect(await employee("ext-worker")).toMatchObject({ manager: "ext-boss" });
      await scim.patch(`/Users/${id}`, { op: "Replace", path, value: "E7" });
      expect(await employee("ext-worker")).toMatchObject({ manager: "E7" });
      const gone = await scim.patch(`/Users/${id}`, { op: "Replace", path, value: "" });
      expect(gone.body[enterprise]).toBeUndefined();
      expect((await employee("ext-worker"))["manager"]).toBeUndefined();
    });

    it("what the ledger says otherwise shows, and a PUT says how it is to be", async () => {
      const id = await scim.create("/Users", entraUser("ledger", { [enterprise]: { department: "Alpha" } }));
      await server.api("POST", "/api/v1/departments", { json: { code: "BETA", name: "Beta" } });
      await server.api("PATCH", "/api/v1/employees/ext-ledger", {
        json: { department: "BETA", name: "By hand", mail: "hand@example.com", manager: "ext-boss" },
      });
      const shown = (await scim.call("GET", `/Users/${id}`)).body;
      expect(shown).toMatchObject({
        displayName: "By hand",
        emails: [{ value: "hand@example.com", type: "work", primary: true }],
        [enterprise]: { department: "Beta", manager: { displayName: "Display boss" } },
      });
      expect(await scim.find("/Users", 'department eq "beta"')).toHaveLength(1);
      // A change of something else moves nobody back.
      await scim.patch(`/Users/${id}`, { op: "replace", path: "nickName", value: "Led" });
      expect(await employee("ext-ledger")).toMatchObject({ department: "BETA", name: "By hand", manager: "ext-boss" });
      // The whole user, of which the client never mentioned a manager: that one stays.
      const put = await scim.call(
        "PUT",
        `/Users/${id}`,
        entraUser("ledger", { [enterprise]: { department: "Alpha" } }),
      );
      expect(put.status).toBe(200);
      expect(put.body["nickName"]).toBeUndefined();
      expect(await employee("ext-ledger")).toMatchObject({
        department: "Alpha",
        name: "Display ledger",
        manager: "ext-boss",
      });
      await scim.call("PUT", `/Users/${id}`, entraUser("ledger"));
      expect((await employee("ext-ledger"))["department"]).toBeUndefined();
    });

    it("versions: If-Match refuses what was changed meanwhile, If-None-Match saves the body", async () => {
      const id = await scim.create("/Users", entraUser("etag"));
      const read = await scim.call("GET", `/Users/${id}`);
      const version = read.headers.get("etag") as string;
      expect((read.body["meta"] as Json)["version"]).toBe(version);
      expect((await scim.call("GET", `/Users/${id}`, undefined, { "if-none-match": version })).status).toBe(304);
      await scim.patch(`/Users/${id}`, { op: "replace", path: "title", value: "x" });
      const stale = await scim.call("PUT", `/Users/${id}`, entraUser("etag"), { "if-match": version });
      expect(stale.status).toBe(412);
      expect((await scim.call("DELETE", `/Users/${id}`, undefined, { "if-match": version })).status).toBe(412);
      expect((await scim.call("PUT", `/Users/${id}`, entraUser("etag"), { "if-match": "*" })).status).toBe(200);
    });

    it("two requests for one user at once come one after the other", async () => {
      const results = await Promise.all([
        ...Array.from({ length: 4 }, () => scim.call("POST", "/Users", entraUser("rush"))),
      ]);
      expect(results.map((r) => r.status).toSorted()).toEqual([201, 409, 409, 409]);
      const [user] = await scim.find("/Users", 'userName eq "rush@example.com"');
      const id = user?.["id"] as string;
      const changes = await Promise.all(
        Array.from({ length: 5 }, (_, i) =>
          scim.patch(`/Users/${id}`, { op: "add", path: `phoneNumbers[type eq "n${i}"].value`, value: String(i) }),
        ),
      );
      expect(changes.map((c) => c.status)).toEqual([200, 200, 200, 200, 200]);
      const after = await scim.call("GET", `/Users/${id}`);
      expect(after.body["phoneNumbers"]).toHaveLength(5);
    });
  });

  describe("Groups are departments", () => {
    it("a group becomes a department; adding, moving and removing a member moves the person and what is used", async () => {
      const sales = await scim.create("/Groups", {
        schemas: [
          "urn:ietf:params:scim:schemas:core:2.0:Group",
          "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group",
        ],
        externalId: "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        displayName: "営業部",
        meta: { resourceType: "Group" },
      });
      const tokyo = await scim.create("/Groups", { displayName: "Tokyo", externalId: "TK" });
      expect((await server.api("GET", "/api/v1/departments/営業部")).json()).toMatchObject({ name: "営業部" });
      expect((await server.api("GET", "/api/v1/departments/TK")).json()).toMatchObject({ name: "Tokyo" });
      const user = await scim.create("/Users", entraUser("mover"));
      await installed(server, "ext-mover", 2);

      const added = await scim.patch(`/Groups/${sales}`, {
        op: "Add",
        path: "members",
        value: [{ $ref: null, value: user }],
      });
      expect([added.status, added.body]).toEqual([204, {}]);
      expect(await employee("ext-mover")).toMatchObject({ department: "営業部" });
      expect(await usedBy("営業部", "@APP")).toBe(2);
      expect((await scim.call("GET", `/Groups/${sales}`)).body).toMatchObject({
        members: [{ value: user, type: "User", display: "Display mover", $ref: `${server.url}/scim/v2/Users/${user}` }],
      });
      expect((await scim.call("GET", `/Users/${user}`)).body).toMatchObject({
        groups: [{ value: sales, display: "営業部", type: "direct" }],
      });

      // Okta: no path. The person is in one department: the last one wins, whichever request comes first.
      await scim.patch(`/Groups/${tokyo}`, { op: "add", value: { members: [{ value: user, display: "x" }] } });
      expect(await employee("ext-mover")).toMatchObject({ department: "TK" });
      expect([await usedBy("営業部", "@APP"), await usedBy("TK", "@APP")]).toEqual([0, 2]);
      await scim.patch(`/Groups/${sales}`, { op: "Remove", path: "members", value: [{ value: user }] });
      expect(await employee("ext-mover")).toMatchObject({ department: "TK" });
      expect(await scim.find("/Groups", `id eq "${tokyo}" and members eq "${user}"`)).toHaveLength(1);
      expect(await scim.find("/Groups", `members[value eq "${user}"]`)).toMatchObject([{ id: tokyo }]);

      await scim.patch(`/Groups/${tokyo}`, { op: "remove", path: `members[value eq "${user}"]` });
      expect((await employee("ext-mover"))["department"]).toBeUndefined();
      expect([await usedBy("TK", "@APP"), await usedBy("unassigned", "@APP")]).toEqual([0, 2]);
      expect((await server.api("GET", "/api/v1/reconcile")).json()).toMatchObject({ differences: [] });
    });

    it("a leaver frees licences counted by person, and the devices are to be handed over", async () => {
      const id = await scim.create("/Users", entraUser("leaver", { [enterprise]: { department: "Freed" } }));
      await installed(server, "ext-leaver", 1, "person");
      expect(await usedBy("Freed", "@PERSON")).toBe(1);
      await scim.patch(`/Users/${id}`, { op: "Replace", path: "active", value: false });
      expect(await usedBy("Freed", "@PERSON")).toBe(0);
      const list = (await server.api("GET", "/api/v1/hand-overs")).json<{ items: Json[] }>();
      expect(list.items.map((entry) => entry["employee"])).toContain("ext-leaver");
      expect((await server.api("GET", "/api/v1/reconcile")).json()).toMatchObject({ differences: [] });
    });

    it("renaming, matching by name without members, replacing members", async () => {
      const id = await scim.create("/Groups", { displayName: "Before", externalId: "REN" });
      const [a, b, c] = await Promise.all(["ga", "gb", "gc"].map((n) => scim.create("/Users", entraUser(n))));
      expect((await scim.patch(`/Groups/${id}`, { op: "replace", value: { id, displayName: "After" } })).status).toBe(
        204,
      );
      expect((await server.api("GET", "/api/v1/departments/REN")).json()).toMatchObject({ name: "After" });
      await scim.patch(`/Groups/${id}`, { op: "add", path: "members", value: [{ value: a }, { value: b }] });
      const query = `?excludedAttributes=members&filter=${encodeURIComponent('displayName eq "after"')}`;
      const found = (await scim.call("GET", `/Groups${query}`)).body;
      expect(found).toMatchObject({ totalResults: 1, itemsPerPage: 1, startIndex: 1 });
      expect((found["Resources"] as Json[])[0]).not.toHaveProperty("members");
      await scim.patch(`/Groups/${id}`, { op: "replace", path: "members", value: [{ value: b }, { value: c }] });
      const members = async (): Promise<unknown> =>
        ((await scim.call("GET", `/Groups/${id}`)).body["members"] as Json[]).map((m) => m["value"]).toSorted();
      expect(await members()).toEqual([b, c].toSorted());
      await scim.call("PUT", `/Groups/${id}`, { displayName: "After", members: [{ value: a }] });
      expect(await members()).toEqual([a]);
      expect((await employee("ext-gb"))["department"]).toBeUndefined();
      await scim.call("PUT", `/Groups/${id}`, { displayName: "After" });
      expect(await members()).toEqual([]);
      const unknown = await scim.patch(`/Groups/${id}`, {
        op: "add",
        path: "members",
        value: [{ value: a }, { value: "?" }],
      });
      expect([unknown.status, unknown.body["scimType"]]).toEqual([400, "invalidValue"]);
      expect(await members()).toEqual([]);
      const again = await scim.call("POST", "/Groups", { displayName: "AFTER" });
      expect([again.status, again.body["scimType"]]).toEqual([409, "uniqueness"]);
    });

    it("who is away is a member still, and returns to where the group says", async () => {
      const from = await scim.create("/Groups", { displayName: "Away from", externalId: "AF" });
      const to = await scim.create("/Groups", { displayName: "Away to", externalId: "AT" });
      const id = await scim.create("/Users", entraUser("away"));
      await scim.patch(`/Groups/${from}`, { op: "add", path: "members", value: [{ value: id }] });
      await scim.patch(`/Users/${id}`, { op: "replace", path: "active", value: false });
      expect((await scim.call("GET", `/Groups/${from}`)).body["members"]).toHaveLength(1);
      await scim.patch(`/Groups/${to}`, { op: "add", path: "members", value: [{ value: id }] });
      expect((await scim.call("GET", `/Groups/${from}`)).body["members"]).toHaveLength(0);
      expect((await scim.call("GET", `/Groups/${to}`)).body["members"]).toHaveLength(1);
      await scim.patch(`/Users/${id}`, { op: "replace", path: "active", value: true });
      expect(await employee("ext-away")).toMatchObject({ department: "AT" });
    });

    it("a group in a group is a department below it; deleting it gives everything to the one above", async () => {
      const above = await scim.create("/Groups", { displayName: "Above", externalId: "ABOVE" });
      const below = await scim.create("/Groups", { displayName: "Below", externalId: "BELOW" });
      const user = await scim.create("/Users", entraUser("nested"));
      await scim.patch(`/Groups/${below}`, { op: "add", path: "members", value: [{ value: user }] });
      await scim.patch(`/Groups/${above}`, { op: "add", path: "members", value: [{ value: below, type: "Group" }] });
      expect((await server.api("GET", "/api/v1/departments/BELOW")).json()).toMatchObject({ parent: "ABOVE" });
      expect((await scim.call("GET", `/Groups/${above}`)).body["members"]).toMatchObject([
        { value: below, type: "Group", display: "Below" },
      ]);
      const cycle = await scim.patch(`/Groups/${below}`, { op: "add", path: "members", value: [{ value: above }] });
      expect([cycle.status, cycle.body["scimType"]]).toEqual([400, "invalidValue"]);
      expect((await scim.call("DELETE", `/Groups/${below}`)).status).toBe(204);
      expect(await employee("ext-nested")).toMatchObject({ department: "ABOVE" });
      expect((await scim.call("GET", `/Groups/${below}`)).status).toBe(404);
      // At the top there is nobody to take over: the department stays, its people leave it.
      expect((await scim.call("DELETE", `/Groups/${above}`)).status).toBe(204);
      expect((await employee("ext-nested"))["department"]).toBeUndefined();
      const again = await scim.create("/Groups", { displayName: "Above" });
      expect((await scim.call("GET", `/Groups/${again}`)).body).toMatchObject({
        "urn:ietf:params:scim:schemas:extension:daicho:2.0:Group": { code: "ABOVE" },
      });
    });

    it("a department that others dissolve: its group takes the heir's place, or refuses members", async () => {
      const gone = await scim.create("/Groups", { displayName: "Gone", externalId: "GONE" });
      const heir = await scim.create("/Groups", { displayName: "Heir", externalId: "HEIR" });
      await server.api("POST", "/api/v1/departments", { json: { code: "FREE", name: "Free heir" } });
      const merge = (department: string, to: string): Promise<unknown> =>
        server.api("POST", "/api/v1/org-changes", { json: { changes: [{ type: "dissolve", department, to }] } });
      await merge("GONE", "HEIR");
      const user = await scim.create("/Users", entraUser("homeless"));
      const refused = await scim.patch(`/Groups/${gone}`, { op: "add", path: "members", value: [{ value: user }] });
      expect(refused.status).toBe(409);
      expect((await scim.call("GET", `/Groups/${gone}`)).body).toMatchObject({ displayName: "Gone", members: [] });
      await merge("HEIR", "FREE");
      await scim.patch(`/Groups/${heir}`, { op: "add", path: "members", value: [{ value: user }] });
      expect(await employee("ext-homeless")).toMatchObject({ department: "FREE" });
    });
  });

  describe("queries (§3.4.2)", () => {
    it("pages, sorts, and answers the attributes asked for", async () => {
      for (let i = 0; i < 12; i++)
        await scim.create(
          "/Users",
          entraUser(`page${i}`, { userType: "paged", title: `T${String(11 - i).padStart(2, "0")}` }),
        );
      const all = (await scim.call("GET", "/Users?count=1000")).body;
      const total = all["totalResults"] as number;
      const seen: unknown[] = [];
      for (let start = 1; start <= total; start += 5) {
        const page = (await scim.call("GET", `/Users?startIndex=${start}&count=5`)).body;
        expect(page).toMatchObject({ startIndex: start, totalResults: total });
        seen.push(...(page["Resources"] as Json[]).map((r) => r["id"]));
      }
      expect(seen).toEqual((all["Resources"] as Json[]).map((r) => r["id"]));
      const sorted = await scim.call("POST", "/Users/.search", {
        schemas: ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        filter: 'userType eq "paged"',
        sortBy: "title",
        sortOrder: "descending",
        startIndex: 2,
        count: 3,
        attributes: ["title", "emails.value"],
      });
      expect(sorted.body).toMatchObject({ totalResults: 12, startIndex: 2, itemsPerPage: 3 });
      const resources = sorted.body["Resources"] as Json[];
      expect(resources.map((r) => r["title"])).toEqual(["T10", "T09", "T08"]);
      expect(Object.keys(resources[0] as Json).toSorted()).toEqual(["emails", "id", "schemas", "title"]);
      expect((resources[0] as Json)["emails"]).toEqual([{ value: "page1@example.com" }]);
      const filtered = (await scim.call("GET", `/Users?count=0&filter=${encodeURIComponent('userType eq "paged"')}`))
        .body;
      expect(filtered).toMatchObject({ totalResults: 12, Resources: [] });
      expect((await scim.call("GET", "/Users?startIndex=-5&count=1")).body).toMatchObject({ startIndex: 1 });
      const both = (
        await scim.call("POST", "/.search", { filter: 'displayName sw "page" or displayName sw "Display page"' })
      ).body;
      expect(both["totalResults"]).toBe(12);
    });

    it("what it cannot use is refused with scimType and place", async () => {
      const id = await scim.create("/Users", entraUser("hostile"));
      const bad: [number, string | undefined, Answer][] = [
        [400, "invalidFilter", await scim.call("GET", "/Users?filter=userName%20eq")],
        [400, "invalidFilter", await scim.call("GET", "/Users?filter=shoeSize%20eq%20%22x%22")],
        [400, "invalidFilter", await scim.call("GET", `/Users?filter=${"(".repeat(200)}`)],
        [400, "invalidValue", await scim.call("GET", "/Users?count=many")],
        [400, "invalidPath", await scim.call("GET", "/Users?sortBy=shoeSize")],
        [400, "invalidSyntax", await scim.call("POST", "/Users", [])],
        [400, "invalidValue", await scim.call("POST", "/Users", { displayName: "x" })],
        [400, "invalidValue", await scim.call("POST", "/Users", entraUser("x".repeat(300)))],
        [400, "invalidValue", await scim.call("POST", "/Users", entraUser("nul", { title: "a\u0000b" }))],
        [400, "invalidValue", await scim.call("POST", "/Users", entraUser("bool", { active: "perhaps" }))],
        [400, "invalidValue", await scim.call("POST", "/Users", entraUser("shape", { name: [] }))],
        [400, "invalidSyntax", await scim.call("PATCH", `/Users/${id}`, { Operations: [{ op: "move" }] })],
        [
          400,
          "invalidSyntax",
          await scim.call("PATCH", `/Users/${id}`, { schemas: ["x"], Operations: [{ op: "add" }] }),
        ],
        [400, "invalidValue", await scim.patch(`/Users/${id}`, { op: "add", path: "title" })],
        [400, "noTarget", await scim.patch(`/Users/${id}`, { op: "remove" })],
        [400, "invalidPath", await scim.patch(`/Users/${id}`, { op: "add", path: "shoeSize", value: 1 })],
        [400, "invalidPath", await scim.patch(`/Users/${id}`, { op: "add", path: 'name[type eq "x"]', value: 1 })],
        [400, "mutability", await scim.patch(`/Users/${id}`, { op: "replace", path: "id", value: "x" })],
        [400, "mutability", await scim.patch(`/Users/${id}`, { op: "remove", path: "userName" })],
        [
          400,
          "noTarget",
          await scim.patch(`/Users/${id}`, { op: "replace", path: 'emails[value sw "q"].type', value: "x" }),
        ],
        [404, undefined, await scim.call("GET", "/Users/unknown")],
        [404, undefined, await scim.call("PATCH", "/Groups/unknown", { Operations: [{ op: "add", value: {} }] })],
        [404, undefined, await scim.call("GET", "/Nothing")],
        [501, undefined, await scim.call("GET", "/Me")],
        [501, undefined, await scim.call("POST", "/Bulk", {})],
      ];
      for (const [index, [status, type, answer]] of bad.entries()) {
        expect([index, answer.status, answer.body["scimType"]]).toEqual([index, status, type]);
        expect(answer.body["schemas"]).toEqual(["urn:ietf:params:scim:api:messages:2.0:Error"]);
        expect(answer.body["status"]).toBe(String(status));
      }
      expect((await scim.call("GET", `/Users/${id}`)).body).toMatchObject({ userName: "hostile@example.com" });
      const raw = (body: string, type = "application/scim+json"): Promise<{ status: number }> =>
        server.api("POST", "/scim/v2/Users", { as: "provisioner", body, type });
      expect((await raw("{")).status).toBe(400);
      expect((await raw('{"__proto__": {"userName": "x"}}')).status).toBe(400);
      expect((await raw("[".repeat(100_000))).status).toBe(400);
      expect((await raw("userName=x", "application/x-www-form-urlencoded")).status).toBe(415);
      expect((await raw(`"${"x".repeat(5 * 1024 * 1024)}"`)).status).toBe(413);
      expect((await raw(JSON.stringify(entraUser("plainJson")), "application/json; charset=utf-8")).status).toBe(201);
    });
  });

  describe("who may", () => {
    it("an identity provider's token opens /scim/v2 and nothing else; how to authenticate is public", async () => {
      const status = async (path: string, as: "provisioner" | "auditor" | "manager" | "nobody"): Promise<number> =>
        (await server.api("GET", path, { as })).status;
      expect(await status("/scim/v2/Users", "provisioner")).toBe(200);
      expect(await status("/scim/v2/Users", "manager")).toBe(200);
      expect(await status("/scim/v2/Users", "auditor")).toBe(403);
      expect(await status("/scim/v2/ServiceProviderConfig", "nobody")).toBe(200);
      for (const path of ["/api/v1/employees", "/api/v1/positions", "/api/v1/tokens"])
        expect([path, await status(path, "provisioner")]).toEqual([path, 403]);
      const refused = await server.api("GET", "/scim/v2/Users", { as: "nobody" });
      expect(refused.headers.get("www-authenticate")).toContain("Bearer");
      expect(refused.json()).toMatchObject({
        schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
        status: "401",
      });
    });

    it("tells what it offers, and every attribute it takes", async () => {
      const list = async (path: string): Promise<Json[]> => (await scim.call("GET", path)).body["Resources"] as Json[];
      expect((await scim.call("GET", "/ServiceProviderConfig")).body).toMatchObject({
        patch: { supported: true },
        bulk: { supported: false },
        filter: { supported: true, maxResults: 1000 },
      });
      expect((await list("/ResourceTypes")).map((t) => t["endpoint"])).toEqual(["/Users", "/Groups"]);
      const schemas = await list("/Schemas");
      expect(schemas.map((s) => s["id"])).toEqual([
        "urn:ietf:params:scim:schemas:core:2.0:User",
        enterprise,
        "urn:ietf:params:scim:schemas:core:2.0:Group",
        "urn:ietf:params:scim:schemas:extension:daicho:2.0:Group",
      ]);
      expect((await scim.call("GET", `/Schemas/${enterprise}`)).body).toEqual(schemas[1]);
      expect((await scim.call("GET", "/ResourceTypes/User")).status).toBe(200);
      expect((await scim.call("GET", "/Schemas/urn:nothing")).status).toBe(404);
    });
  });
});

describe("groups with thousands of members", () => {
  forEachStore((store) => {
    it.each(["departments", "ignore"] as const)("are changed and answered whole, and others get their turn meanwhile (%s)", async (groups) => {
      const server = await startServer(store, { role: "corporate", scim: { groups } });
      const scim = clientOf(server);
      try {
        const people = Array.from({ length: 2500 }, (_, i) => `P${String(i).padStart(4, "0")}`);
        const body = `id,name\n${people.map((id) => `${id},${id}`).join("\n")}\n`;
        expect((await server.api("POST", "/api/v1/imports/employees", { body, type: "text/csv" })).status).toBe(200);
        const { db } = server.server;
        const employees = await db.kysely.selectFrom("org_employees").select(["ordinal", "id"]).orderBy("id").execute();
        await db.transaction(async (trx) => {
          for (const { ordinal, id } of employees)
            await trx
              .insertInto("scim_users")
              .values({
                id: `u-${id}`, user_name: id, user_key: id.toLowerCase(), external_id: null, employee: ordinal,
                away_department: null, resource: "{}", created_at: 1, changed_at: 1,
              })
              .execute();
        });
        const ids = employees.map(({ id }) => `u-${id}`);
        const group = await scim.create("/Groups", { displayName: "Large" });
        const membersOf = async () =>
          ((await scim.call("GET", `/Groups/${group}`)).body["members"] as { value: string }[]).map((m) => m.value);
        let turns = 0;
        const count = (): void => void (turns++, (timer = setImmediate(count)));
        let timer = setImmediate(count);
        await scim.patch(`/Groups/${group}`, { op: "add", path: "members", value: ids.map((value) => ({ value })) });
        clearImmediate(timer);
        expect(turns).toBeGreaterThanOrEqual(3);
        expect(await membersOf()).toEqual(ids);
        // Who leaves stays a member; who is put elsewhere meanwhile does not.
        const [first = "", second = ""] = ids;
        for (const id of [first, second])
          await scim.patch(`/Users/${id}`, { op: "replace", path: "active", value: false });
        expect(await membersOf()).toEqual(ids);
        const other = await scim.create("/Groups", { displayName: "Other", members: [{ value: first }] });
        expect((await scim.call("GET", `/Groups/${other}`)).body["members"]).toMatchObject([{ value: first }]);
        expect(await membersOf()).toEqual(groups === "departments" ? ids.slice(1) : ids);
        await scim.patch(`/Groups/${group}`, { op: "remove", path: "members" });
        expect(await membersOf()).toEqual([]);
      } finally {
        await server.stop();
      }
    }, 120_000); // prettier-ignore
  });
});

describe("groups that are no departments (scim.groups: ignore), departments that must be there", () => {
  forEachStore((store) => {
    it("are kept, answered and move nobody", async () => {
      const server = await startServer(store, {
        role: "corporate",
        scim: { groups: "ignore", createDepartments: false },
      });
      const scim = clientOf(server);
      try {
        await server.api("POST", "/api/v1/departments", { json: { code: "IT", name: "Information technology" } });
        const user = await scim.create("/Users", entraUser("ignored", { [enterprise]: { department: "IT" } }));
        const group = await scim.create("/Groups", { displayName: "All staff", members: [{ value: user }] });
        const outer = await scim.create("/Groups", { displayName: "Outer", members: [{ value: group }] });
        expect((await scim.call("GET", `/Groups/${group}`)).body).toMatchObject({
          members: [{ value: user, type: "User" }],
        });
        expect((await scim.call("GET", `/Groups/${outer}`)).body).toMatchObject({
          members: [{ value: group, type: "Group" }],
        });
        expect((await scim.call("GET", `/Users/${user}`)).body).toMatchObject({ groups: [{ value: group }] });
        expect((await server.api("GET", "/api/v1/employees/ext-ignored")).json()).toMatchObject({ department: "IT" });
        expect((await server.api("GET", "/api/v1/departments")).json<{ items: Json[] }>().items).toHaveLength(1);
        const unknown = await scim.patch(`/Users/${user}`, {
          op: "Add",
          path: `${enterprise}:department`,
          value: "HR",
        });
        expect([unknown.status, unknown.body["scimType"]]).toEqual([400, "invalidValue"]);
        await scim.patch(`/Groups/${group}`, { op: "remove", path: "members" });
        expect((await scim.call("GET", `/Groups/${group}`)).body["members"]).toEqual([]);
        await scim.patch(`/Groups/${group}`, { op: "add", path: "members", value: [{ value: user }, { value: user }] });
        await scim.call("DELETE", `/Users/${user}`);
        expect((await scim.call("GET", `/Groups/${group}`)).body["members"]).toEqual([]);
        expect((await scim.call("DELETE", `/Groups/${group}`)).status).toBe(204);
        expect((await scim.call("GET", `/Groups/${outer}`)).body["members"]).toEqual([]);
      } finally {
        await server.stop();
      }
    }, 120_000);
  });
});

const policy = `daicho: policy/v1
id: acme-local
edition: local
version: 1
software:
  - code: "@APP1"
    name: App
    detect: package(name = "app")
  - code: "@PERSON1"
    name: Person
    detect: package(name = "person")
licenses:
  - rule: "@APP1 = @APP"
    name: App
    metric: device
  - rule: "@PERSON1 = @PERSON"
    name: Person
    metric: user
`;

/** Devices of this person, each with one installation found by a scan. */
async function installed(server: TestServer, employee: string, devices: number, name = "app"): Promise<void> {
  for (let i = 0; i < devices; i++) {
    const id = `${employee}-pc${i}`;
    const software = [{ name, version: "1", source: "dpkg" }];
    const inventory = { daicho: "inventory/v1", device: { id, hostname: id }, software };
    expect((await server.api("POST", "/api/v1/imports/inventories", { json: inventory })).status).toBe(200);
    expect((await server.api("PATCH", `/api/v1/devices/${id}`, { json: { employee } })).status).toBe(200);
  }
}
