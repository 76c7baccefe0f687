/**
 * Purpose: the schemas of the resources (RFC 7643 §4, §8.7): what a User and a Group are made of. The one table that reading, filtering, patching and
 * `/Schemas` go by.
 * Names are matched without regard to case (RFC 7643 §2.1). Passwords and certificates are no part of it: a client that sends them is not refused, and
 * they are not kept.
 */

export interface Attribute {
  readonly name: string;
  readonly type: "string" | "boolean" | "reference" | "dateTime" | "complex";
  readonly multiValued: boolean;
  readonly description: string;
  readonly required: boolean;
  readonly caseExact: boolean;
  readonly mutability: "readWrite" | "readOnly" | "immutable";
  readonly returned: "default" | "always";
  readonly uniqueness: "none" | "server";
  readonly canonicalValues?: readonly string[];
  readonly referenceTypes?: readonly string[];
  readonly subAttributes?: readonly Attribute[];
}

export interface ScimSchema {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly attributes: readonly Attribute[];
}

export interface ResourceType {
  readonly name: "User" | "Group";
  readonly endpoint: "/Users" | "/Groups";
  readonly description: string;
  readonly core: ScimSchema;
  readonly extensions: readonly ScimSchema[];
}

/** A resource in JSON, with the attributes' own spelling. */
export type Resource = Record<string, unknown>;

const attribute = (name: string, description: string, options: Partial<Attribute> = {}): Attribute => ({
  name,
  type: "string",
  multiValued: false,
  description,
  required: false,
  caseExact: false,
  mutability: "readWrite",
  returned: "default",
  uniqueness: "none",
  ...options,
});

const complex = (
  name: string,
  description: string,
  subAttributes: readonly Attribute[],
  options: Partial<Attribute> = {},
): Attribute => attribute(name, description, { type: "complex", subAttributes, ...options });

const several = (
  name: string,
  description: string,
  types: readonly string[] = [],
  value: Partial<Attribute> = {},
): Attribute =>
  complex(
    name,
    description,
    [
      attribute("value", "The value.", value),
      attribute("display", "The value as shown to people."),
      attribute("type", "What it is for.", types.length > 0 ? { canonicalValues: types } : {}),
      attribute("primary", "The preferred one; true at most once.", { type: "boolean" }),
    ],
    { multiValued: true },
  );

const readOnly = { mutability: "readOnly" } as const;
const reference = (name: string, description: string, referenceTypes: readonly string[], options = {}): Attribute =>
  attribute(name, description, { type: "reference", caseExact: true, referenceTypes, ...options });

export const urns = {
  user: "urn:ietf:params:scim:schemas:core:2.0:User",
  group: "urn:ietf:params:scim:schemas:core:2.0:Group",
  enterprise: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
  department: "urn:ietf:params:scim:schemas:extension:daicho:2.0:Group",
} as const;

const userSchema: ScimSchema = {
  id: urns.user,
  name: "User",
  description: "A person: an employee of the ledger.",
  attributes: [
    attribute("userName", "What the identity provider knows the person by.", { required: true, uniqueness: "server" }),
    complex("name", "The parts of the person's name.", [
      attribute("formatted", "The full name."),
      attribute("familyName", "Family name."),
      attribute("givenName", "Given name."),
      attribute("middleName", "Middle name."),
      attribute("honorificPrefix", "Title before the name."),
      attribute("honorificSuffix", "Suffix after the name."),
    ]),
    attribute("displayName", "The name shown; becomes the employee's name."),
    attribute("nickName", "Casual name."),
    reference("profileUrl", "Page about the person.", ["external"]),
    attribute("title", "Title; becomes the employee's title."),
    attribute("userType", "Kind of employment."),
    attribute("preferredLanguage", "Preferred language."),
    attribute("locale", "Locale."),
    attribute("timezone", "Time zone."),
    attribute("active", "false: the person has left.", { type: "boolean" }),
    several("emails", "Mail addresses; the primary, else the work one becomes the employee's.", [
      "work",
      "home",
      "other",
    ]),
    several("phoneNumbers", "Telephone numbers.", ["work", "home", "mobile", "fax", "pager", "other"]),
    several("ims", "Instant messaging addresses."),
    several("photos", "Pictures.", ["photo", "thumbnail"], {
      type: "reference",
      caseExact: true,
      referenceTypes: ["external"],
    }),
    complex(
      "addresses",
      "Postal addresses.",
      [
        attribute("formatted", "The full address."),
        attribute("streetAddress", "Street and number."),
        attribute("locality", "Town."),
        attribute("region", "Region."),
        attribute("postalCode", "Postal code."),
        attribute("country", "Country."),
        attribute("type", "What it is for.", { canonicalValues: ["work", "home", "other"] }),
        attribute("primary", "The preferred one; true at most once.", { type: "boolean" }),
      ],
      { multiValued: true },
    ),
    complex(
      "groups",
      "The groups the person is in; changed through the groups.",
      [
        attribute("value", "The group's id.", { ...readOnly, caseExact: true }),
        reference("$ref", "The group's address.", ["Group"], readOnly),
        attribute("display", "The group's name.", readOnly),
        attribute("type", "direct.", { ...readOnly, canonicalValues: ["direct"] }),
      ],
      { multiValued: true, ...readOnly },
    ),
    several("entitlements", "Entitlements, kept as they are sent."),
    several("roles", "Roles, kept as they are sent."),
  ],
};

const enterpriseSchema: ScimSchema = {
  id: urns.enterprise,
  name: "EnterpriseUser",
  description: "What an employer knows of a person.",
  attributes: [
    attribute("employeeNumber", "Becomes the id of a new employee."),
    attribute("costCenter", "Becomes the cost centre of a department that is made for `department`."),
    attribute("organization", "Organisation."),
    attribute("division", "Division."),
    attribute("department", "Code or name of the department the person belongs to."),
    complex("manager", "The person's manager.", [
      attribute("value", "The manager's SCIM id or employee id.", { caseExact: true }),
      reference("$ref", "The manager's address.", ["User"]),
      attribute("displayName", "The manager's name.", readOnly),
    ]),
  ],
};

const groupSchema: ScimSchema = {
  id: urns.group,
  name: "Group",
  description: "A department of the ledger.",
  attributes: [
    attribute("displayName", "The department's name.", { required: true, uniqueness: "server" }),
    complex(
      "members",
      "The people of the department, and the departments directly below it.",
      [
        attribute("value", "Id of a User or Group.", { mutability: "immutable", caseExact: true }),
        reference("$ref", "The member's address.", ["User", "Group"], { mutability: "immutable" }),
        attribute("type", "What the member is.", { mutability: "immutable", canonicalValues: ["User", "Group"] }),
        attribute("display", "The member's name.", readOnly),
      ],
      { multiValued: true },
    ),
  ],
};

const departmentSchema: ScimSchema = {
  id: urns.department,
  name: "Department",
  description: "What the ledger knows of a department.",
  attributes: [attribute("code", "The department's code.", { caseExact: true, uniqueness: "server" })],
};

/** RFC 7643 §3.1: every resource has them, and they are in no schema. */
const commonAttributes: readonly Attribute[] = [
  attribute("id", "Given by the server.", { ...readOnly, caseExact: true, returned: "always", uniqueness: "server" }),
  attribute("externalId", "The client's own id.", { caseExact: true }),
  attribute("schemas", "URNs of the schemas.", { ...readOnly, multiValued: true, returned: "always", caseExact: true }),
  complex(
    "meta",
    "About the resource.",
    [
      attribute("resourceType", "User or Group.", { ...readOnly, caseExact: true }),
      attribute("created", "When it was made.", { ...readOnly, type: "dateTime" }),
      attribute("lastModified", "When it was last changed.", { ...readOnly, type: "dateTime" }),
      attribute("location", "Its address.", { ...readOnly, type: "reference", caseExact: true }),
      attribute("version", "Its entity tag.", { ...readOnly, caseExact: true }),
    ],
    readOnly,
  ),
];

export const userType: ResourceType = {
  name: "User",
  endpoint: "/Users",
  description: "People",
  core: userSchema,
  extensions: [enterpriseSchema],
};

export const groupType: ResourceType = {
  name: "Group",
  endpoint: "/Groups",
  description: "Departments",
  core: groupSchema,
  extensions: [departmentSchema],
};

const userCore = [...commonAttributes, ...userSchema.attributes];
const groupCore = [...commonAttributes, ...groupSchema.attributes];
export const resourceTypes: readonly ResourceType[] = [userType, groupType];
export const schemas: readonly ScimSchema[] = [userSchema, enterpriseSchema, groupSchema, departmentSchema];

/** Where in a resource a name leads. */
export interface Target {
  /** The extension it belongs to; undefined: the core. */
  readonly extension: ScimSchema | undefined;
  /** undefined: the extension as a whole. */
  readonly attribute: Attribute | undefined;
  readonly sub: Attribute | undefined;
}

/**
 * `title`, `name.familyName`, `urn:…:User:department`, `urn:…:User`; `manager` without its URN is found as well, since clients filter by it so.
 * @returns undefined where nothing has this name.
 */
export function resolve(type: ResourceType, name: string): Target | undefined {
  const lower = name.toLowerCase();
  for (const schema of [type.core, ...type.extensions]) {
    const urn = schema.id.toLowerCase();
    if (!lower.startsWith(urn)) continue;
    const extension = schema === type.core ? undefined : schema;
    if (lower.length === urn.length) return extension && { extension, attribute: undefined, sub: undefined };
    // Entra wrote a dot here for years; the RFC has a colon.
    if (lower[urn.length] !== ":" && lower[urn.length] !== ".") continue;
    const found = within(extension === undefined ? coreOf(type) : schema.attributes, name.slice(urn.length + 1));
    return found && { extension, ...found };
  }
  const core = within(coreOf(type), name);
  if (core !== undefined) return { extension: undefined, ...core };
  for (const extension of type.extensions) {
    const found = within(extension.attributes, name);
    if (found !== undefined) return { extension, ...found };
  }
  return undefined;
}

export function subAttribute(attribute: Attribute, name: string): Attribute | undefined {
  return attribute.subAttributes && named(attribute.subAttributes, name);
}

/** An extension that is not ours, which is kept as it is sent: `urn:…:User:tag` → its URN and `tag`. */
export function foreignExtension(type: ResourceType, name: string): { urn: string; attribute: string } | undefined {
  if (!/^urn:[a-z0-9]/i.test(name) || resolve(type, name) !== undefined) return undefined;
  const lower = name.toLowerCase();
  if ([type.core, ...type.extensions].some(({ id }) => lower.startsWith(`${id.toLowerCase()}:`))) return undefined;
  const at = name.lastIndexOf(":");
  return { urn: name.slice(0, at), attribute: name.slice(at + 1) };
}

function coreOf(type: ResourceType): readonly Attribute[] {
  return type === userType ? userCore : groupCore;
}

function within(
  attributes: readonly Attribute[],
  name: string,
): { attribute: Attribute; sub: Attribute | undefined } | undefined {
  const dot = name.indexOf(".");
  const attribute = named(attributes, dot === -1 ? name : name.slice(0, dot));
  if (attribute === undefined || dot === -1) return attribute && { attribute, sub: undefined };
  const sub = subAttribute(attribute, name.slice(dot + 1));
  return sub && { attribute, sub };
}

function named(attributes: readonly Attribute[], name: string): Attribute | undefined {
  let byName = lowered.get(attributes);
  if (byName === undefined) {
    byName = new Map(attributes.map((a) => [a.name.toLowerCase(), a]));
    lowered.set(attributes, byName);
  }
  return byName.get(name.toLowerCase());
}

/** The same lists are asked again and again. */
const lowered = new WeakMap<readonly Attribute[], ReadonlyMap<string, Attribute>>();
