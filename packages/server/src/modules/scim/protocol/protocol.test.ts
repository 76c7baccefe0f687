import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isDaichoError } from "@daicho/kernel";
import { parseFilter, parsePath, type Filter } from "./filter.ts";
import { isObject, matches } from "./match.ts";
import { politeJson } from "./json.ts";
import { applyPatch, memberChanges, readOperations, readResource } from "./patch.ts";
import { projection } from "./projection.ts";
import { groupType, urns, userType, type Attribute, type Resource } from "./schema.ts";

const user = (more: Resource = {}): Resource => readResource(userType, { userName: "u", ...more });
const patched = (resource: Resource, ...operations: readonly unknown[]): Resource =>
  applyPatch(userType, resource, readOperations({ Operations: operations }));
const fits = (filter: string, resource: Resource): boolean => matches(parseFilter(userType, filter), resource);

/** What may come of hostile input: an answer, or a refusal with one of our codes. */
function refusedOrDone(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!isDaichoError(error)) throw error;
    expect(error.code).toMatch(/^scim-/);
    expect(error.status).toBeLessThan(500);
  }
}

async function refusedOrDoneSoon(work: () => Promise<unknown>): Promise<void> {
  await work().catch((error: unknown) =>
    refusedOrDone(() => {
      throw error;
    }),
  );
}

describe("answers", () => {
  it("are written as JSON.stringify writes them, however long their lists", async () => {
    const list = fc.array(fc.record({ value: fc.string(), type: fc.option(fc.string(), { nil: undefined }) }), { maxLength: 5 }); // prettier-ignore
    const longer = list.map((some) =>
      some.length === 0 ? [] : Array.from({ length: 300 }, (_, i) => some[i % some.length]),
    );
    const group = fc.record({ id: fc.string(), members: fc.oneof(list, longer), gone: fc.constant(undefined) });
    await fc.assert(
      fc.asyncProperty(fc.oneof(group, fc.record({ totalResults: fc.nat(), Resources: fc.array(group, { maxLength: 4 }) })), async (body) => {
        expect(await politeJson(body)).toBe(JSON.stringify(body));
      }),
      { numRuns: 200 },
    ); // prettier-ignore
  });
});

describe("filters (RFC 7644 §3.4.2.2)", () => {
  const person = user({
    userName: "Bjensen",
    active: true,
    title: "Tour Guide",
    emails: [
      { value: "b@work.example", type: "work", primary: true },
      { value: "b@home.example", type: "home" },
    ],
    [urns.enterprise]: { department: "Sales", manager: { value: "m1" } },
  });

  it.each([
    ['userName eq "bjensen"', true],
    ['USERNAME Eq "BJENSEN"', true],
    ['userName ne "bjensen"', false],
    ['title co "guide"', true],
    ['title sw "tour" and title ew "guide"', true],
    ['title gt "a" and title lt "z" and title ge "tour guide" and title le "tour guide"', true],
    ["title pr", true],
    ["nickName pr", false],
    ["nickName eq null", true],
    ['nickName ne "x"', true],
    ["active eq true", true],
    ['active eq "True"', true],
    ['active eq "False"', false],
    ['emails eq "b@home.example"', true],
    ['emails.type eq "home"', true],
    ['emails[type eq "work" and value co "@work"]', true],
    ['emails[type eq "home" and value co "@work"]', false],
    ['emails[type eq "work"].value eq "b@work.example"', true],
    ['emails[type eq "home"].value eq "b@work.example"', false],
    ['emails[primary eq "true"]', true],
    [`${urns.enterprise}:department eq "sales"`, true],
    [`${urns.enterprise}.department eq "sales"`, true],
    [`${urns.user}:userName eq "bjensen"`, true],
    ['department eq "sales" and manager eq "m1"', true],
    ['manager.value eq "M1"', false],
    ['title eq "x" or userName eq "bjensen" and active eq false', false],
    ['(title eq "x" or userName eq "bjensen") and not (active eq false)', true],
    ['not(title eq "x")', true],
    ['title eq "Tour\\u0020Guide"', true],
  ])("%s", (filter, expected) => {
    expect(fits(filter, person)).toBe(expected);
  });

  it.each([
    "",
    "userName",
    "userName eq",
    'userName is "x"',
    "userName eq x",
    'userName eq "x',
    '(userName eq "x"',
    'userName eq "x")',
    'userName eq "x" and',
    'shoeSize eq "x"',
    'emails[shoeSize eq "x"]',
    'title[value eq "x"]',
    "active gt true",
    "title co 1",
    'name eq "x"',
    `${"not ".repeat(100)}title pr`,
    `${"(".repeat(50)}title pr${")".repeat(50)}`,
    Array.from({ length: 500 }, () => "title pr").join(" or "),
    `title eq "${"x".repeat(20_000)}"`,
  ])("refuses %s with its place", (filter) => {
    expect(() => parseFilter(userType, filter)).toThrow(/at character \d+/);
  });

  const names = ["userName", "title", "active", "emails", "emails.value", "department", "name.familyName", "shoeSize"];
  const words = fc.oneof(
    fc.constantFrom(
      ...names,
      "and",
      "or",
      "not",
      "eq",
      "pr",
      "co",
      "(",
      ")",
      "[",
      "]",
      '"x"',
      "true",
      ".value",
      "null",
    ),
    fc.string({ maxLength: 6 }),
  );

  it("no text crashes or hangs the parser", () => {
    fc.assert(
      fc.property(fc.array(words, { maxLength: 60 }), fc.boolean(), (parts, spaced) => {
        const text = parts.join(spaced ? " " : "");
        refusedOrDone(() => matches(parseFilter(userType, text), person));
        refusedOrDone(() => parsePath(groupType, text, "path"));
      }),
      { numRuns: 2000 },
    );
  });

  const term: fc.Arbitrary<string> = fc.oneof(
    fc
      .tuple(
        fc.constantFrom("userName", "title", "nickName"),
        fc.constantFrom("eq", "ne", "co", "sw", "ew", "gt", "le"),
        fc.string(),
      )
      .map(([name, op, value]) => `${name} ${op} ${JSON.stringify(value)}`),
    fc.constantFrom("title pr", "active eq true", 'emails[type eq "work"]', 'emails.value ew "example"'),
  );
  const anyUser = fc
    .record({ title: fc.string(), nickName: fc.string(), active: fc.boolean(), work: fc.boolean() })
    .map(({ work, ...rest }) => user({ ...rest, emails: work ? [{ type: "work", value: "a@example" }] : [] }));

  it("not, and, or are those of logic, whatever the terms", () => {
    fc.assert(
      fc.property(term, term, term, anyUser, (a, b, c, subject) => {
        const is = (text: string): boolean => fits(text, subject);
        expect(is(`not (${a})`)).toBe(!is(a));
        expect(is(`${a} and ${b}`)).toBe(is(a) && is(b));
        expect(is(`${a} or ${b} and ${c}`)).toBe(is(a) || (is(b) && is(c)));
        expect(is(`(${a} or ${b}) and ${c}`)).toBe((is(a) || is(b)) && is(c));
        expect(is(`not (${a} and ${b})`)).toBe(is(`not (${a}) or not (${b})`));
      }),
    );
  });

  it("any text can be looked for as it is", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "binary" }), (text) => {
        expect(fits(`displayName eq ${JSON.stringify(text)}`, user({ displayName: text }))).toBe(true);
      }),
    );
  });
});

describe("PATCH (§3.5.2)", () => {
  const work = { value: "w@x", type: "work", primary: true };
  const home = { value: "h@x", type: "home" };

  it.each<[string, Resource, unknown[], Resource]>([
    ["add sets a value", {}, [{ op: "Add", path: "title", value: "T" }], { title: "T" }],
    ["replace of null is removal", { title: "T" }, [{ op: "replace", path: "title", value: null }], {}],
    ["remove of what is not there is done already", {}, [{ op: "remove", path: "title" }], {}],
    [
      "a part of a complex value",
      { name: { givenName: "A", familyName: "B" } },
      [{ op: "replace", path: "name.givenName", value: "C" }],
      { name: { givenName: "C", familyName: "B" } },
    ],
    [
      "the last part takes the whole along",
      { name: { givenName: "A" } },
      [{ op: "remove", path: "name.givenName" }],
      {},
    ],
    [
      "parts that are not named stay",
      { name: { givenName: "A", familyName: "B" } },
      [{ op: "replace", path: "name", value: { familyName: "C" } }],
      { name: { givenName: "A", familyName: "C" } },
    ],
    [
      "add appends, once",
      { emails: [work] },
      [
        { op: "add", path: "emails", value: [home, home] },
        { op: "add", path: "emails", value: home },
      ],
      { emails: [work, home, home] },
    ],
    ["replace replaces all", { emails: [work] }, [{ op: "replace", path: "emails", value: home }], { emails: [home] }],
    [
      "a new primary one ends the former",
      { emails: [work, home] },
      [{ op: "replace", path: 'emails[type eq "home"].primary', value: "True" }],
      {
        emails: [
          { ...work, primary: false },
          { ...home, primary: true },
        ],
      },
    ],
    [
      "remove by filter",
      { emails: [work, home] },
      [{ op: "remove", path: 'emails[type eq "work"]' }],
      { emails: [home] },
    ],
    [
      "remove by value",
      { emails: [work, home] },
      [{ op: "remove", path: "emails", value: [{ value: "h@x" }] }],
      { emails: [work] },
    ],
    ["remove all", { emails: [work, home] }, [{ op: "remove", path: "emails" }], {}],
    [
      "a value that is emptied goes",
      { emails: [work] },
      [{ op: "replace", path: 'emails[type eq "work"].value', value: "" }],
      {},
    ],
    [
      "one that is missing is made from its filter",
      {},
      [{ op: "add", path: 'addresses[type eq "work"].country', value: "JP" }],
      { addresses: [{ type: "work", country: "JP" }] },
    ],
    [
      "Entra's roles",
      {},
      [{ op: "Add", path: 'roles[primary eq "True"].value', value: "admin" }],
      { roles: [{ primary: true, value: "admin" }] },
    ],
    [
      "an extension as a whole",
      { [urns.enterprise]: { division: "D" } },
      [{ op: "add", path: urns.enterprise, value: { Department: "S" } }],
      { [urns.enterprise]: { division: "D", department: "S" } },
    ],
    [
      "an extension without path",
      {},
      [{ op: "add", value: { [urns.enterprise]: { department: "S" }, [`${urns.enterprise}:division`]: "D" } }],
      { [urns.enterprise]: { department: "S", division: "D" } },
    ],
    [
      "the last attribute takes the extension along",
      { [urns.enterprise]: { division: "D" } },
      [{ op: "remove", path: `${urns.enterprise}:division` }],
      {},
    ],
    [
      "a manager as a text",
      {},
      [{ op: "add", path: `${urns.enterprise}:manager`, value: "m1" }],
      { [urns.enterprise]: { manager: { value: "m1" } } },
    ],
    [
      "an extension of others is kept",
      {},
      [{ op: "add", path: "urn:ietf:params:scim:schemas:extension:Custom:2.0:User:tag", value: "7" }],
      { "urn:ietf:params:scim:schemas:extension:Custom:2.0:User": { tag: "7" } },
    ],
    [
      "numbers where texts belong",
      {},
      [{ op: "add", value: { [urns.enterprise]: { employeeNumber: 12 } } }],
      { [urns.enterprise]: { employeeNumber: "12" } },
    ],
    [
      "what is read-only or unknown is passed over without a path",
      {},
      [{ op: "replace", value: { id: "x", meta: {}, groups: [], shoeSize: 1, password: "p" } }],
      {},
    ],
  ])("%s", (_what, before, operations, after) => {
    // prettier-ignore
    expect(patched(user(before), ...operations)).toEqual(user(after));
  });

  const json = fc.jsonValue({ maxDepth: 4 });
  const path = fc.oneof(
    fc.constantFrom(
      "title",
      "emails",
      "active",
      "name",
      "name.givenName",
      'emails[type eq "work"].value',
      "members",
      urns.enterprise,
      `${urns.enterprise}:manager`,
      "id",
      "urn:a:b",
    ),
    fc.string({ maxLength: 20 }),
  );
  const operation = fc.record(
    { op: fc.oneof(fc.constantFrom("add", "Remove", "REPLACE"), json), path: fc.oneof(path, json), value: json },
    { requiredKeys: [] },
  );
  const members = groupType.core.attributes.find((a) => a.name === "members") as Attribute;

  it("no JSON crashes it, and nothing is left behind in the prototype or in what was given", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 5 }), json, async (operations, body) => {
        const given = user({ emails: [work, home], name: { givenName: "A" } });
        const copy = structuredClone(given);
        refusedOrDone(() => applyPatch(userType, given, readOperations({ Operations: operations })));
        await refusedOrDoneSoon(async () =>
          memberChanges(groupType, members, readOperations({ Operations: operations }), 100),
        );
        refusedOrDone(() => readResource(userType, body));
        refusedOrDone(() => readResource(userType, isObject(body) ? { ...body, userName: "u" } : body));
        refusedOrDone(() => readOperations(body));
        expect(given).toEqual(copy);
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns: 1500 },
    );
  });

  it("__proto__ as a name changes nothing", () => {
    const hostile = JSON.parse(
      '{"userName":"u","__proto__":{"polluted":1},"name":{"__proto__":{"polluted":1},"givenName":"A"}}',
    ) as unknown;
    expect(readResource(userType, hostile)).toEqual({ userName: "u", name: { givenName: "A" } });
    refusedOrDone(() => patched(user(), { op: "add", path: "urn:a:b:__proto__", value: { polluted: 1 } }));
    refusedOrDone(() =>
      patched(user(), { op: "add", value: JSON.parse('{"urn:a:b":{"__proto__":{"polluted":1}}}') as unknown }),
    );
    expect(({} as Resource)["polluted"]).toBeUndefined();
  });

  const single = fc.constantFrom(
    "displayName",
    "title",
    "nickName",
    "name.familyName",
    "name.givenName",
    `${urns.enterprise}:department`,
    'emails[type eq "work"].value',
    'phoneNumbers[type eq "mobile"].value',
  );
  const written = fc.string({ minLength: 1, maxLength: 20 });
  const valueAt = (resource: Resource, at: string): unknown => {
    const found = parsePath(userType, at, "path");
    if (found.foreign !== undefined || found.attribute === undefined) return undefined;
    const holder = (found.extension === undefined ? resource : resource[found.extension.id]) as Resource | undefined;
    let value: unknown = holder?.[found.attribute.name];
    if (found.filter !== undefined && Array.isArray(value))
      value = value.find((v) => matches(found.filter as Filter, v as Resource));
    return found.sub === undefined ? value : (value as Resource | undefined)?.[found.sub.name];
  };

  it("what was set last is read, what was removed is gone, and the order of different places does not matter", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(single, fc.option(written)), { maxLength: 12 }), (steps) => {
        const operations = steps.map(([at, value]) =>
          value === null ? { op: "remove", path: at } : { op: "replace", path: at, value },
        );
        const expected = new Map(steps);
        const after = operations.length === 0 ? user() : patched(user(), ...operations);
        for (const [at, value] of expected) expect(valueAt(after, at)).toEqual(value ?? undefined);
        const lastOnly = [...expected].map(([at, value]) => ({
          op: value === null ? "remove" : "add",
          path: at,
          value,
        }));
        const direct = lastOnly.length === 0 ? user() : patched(user(), ...lastOnly);
        for (const [at] of expected) expect(valueAt(direct, at)).toEqual(valueAt(after, at));
      }),
    );
  });

  it("what was read whole is read again the same", () => {
    fc.assert(
      fc.property(json, (body) => {
        refusedOrDone(() => {
          const once = readResource(
            userType,
            isObject(body) ? { ...body, userName: "u", emails: [body], name: body } : body,
          );
          expect(readResource(userType, once)).toEqual(once);
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe("attributes and excludedAttributes (§3.9)", () => {
  const resource: Resource = {
    schemas: [urns.user],
    id: "1",
    userName: "u",
    emails: [{ value: "a", type: "work" }, { value: "b" }],
    [urns.enterprise]: { department: "S", division: "D" },
  };
  it.each([
    [{ attributes: ["userName"] }, { schemas: [urns.user], id: "1", userName: "u" }],
    [
      { attributes: ["emails.value", "EMAILS.TYPE"] },
      { schemas: [urns.user], id: "1", emails: [{ value: "a", type: "work" }, { value: "b" }] },
    ],
    [
      { attributes: [`${urns.enterprise}:department`] },
      { schemas: [urns.user], id: "1", [urns.enterprise]: { department: "S" } },
    ],
    [{ attributes: ["shoeSize"] }, { schemas: [urns.user], id: "1" }],
    [{ excludedAttributes: ["emails", "id", urns.enterprise] }, { schemas: [urns.user], id: "1", userName: "u" }],
    [
      { excludedAttributes: ["emails.type", `${urns.enterprise}:division`] },
      { ...resource, emails: [{ value: "a" }, { value: "b" }], [urns.enterprise]: { department: "S" } },
    ],
  ])("%j", (query, expected) => {
    // prettier-ignore
    expect(projection(userType, query).of(resource)).toEqual(expected);
  });
});
