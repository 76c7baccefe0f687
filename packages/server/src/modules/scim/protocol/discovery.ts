/** Purpose: what the server offers (RFC 7643 §5–7, RFC 7644 §4): `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`. */
import { resourceTypes, schemas, type Attribute, type Resource, type ResourceType, type ScimSchema } from "./schema.ts";

export const listLimits = { standard: 100, most: 1000 } as const;

const core = "urn:ietf:params:scim:schemas:core:2.0";

export function serviceProviderConfig(base: string): Resource {
  return {
    schemas: [`${core}:ServiceProviderConfig`],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: listLimits.most },
    changePassword: { supported: false },
    sort: { supported: true },
    etag: { supported: true },
    authenticationSchemes: [
      {
        type: "oauthbearertoken",
        name: "API token",
        description: "An API token with the role provisioner, as bearer token",
        specUri: "https://www.rfc-editor.org/rfc/rfc6750",
        primary: true,
      },
    ],
    meta: { resourceType: "ServiceProviderConfig", location: `${base}/ServiceProviderConfig` },
  };
}

export function resourceTypeDocuments(base: string): Resource[] {
  return resourceTypes.map((type) => ({
    schemas: [`${core}:ResourceType`],
    id: type.name,
    name: type.name,
    endpoint: type.endpoint,
    description: type.description,
    schema: type.core.id,
    schemaExtensions: type.extensions.map(({ id }) => ({ schema: id, required: false })),
    meta: { resourceType: "ResourceType", location: `${base}/ResourceTypes/${type.name}` },
  }));
}

export function schemaDocuments(base: string): Resource[] {
  return schemas.map((schema: ScimSchema) => ({
    schemas: [`${core}:Schema`],
    id: schema.id,
    name: schema.name,
    description: schema.description,
    attributes: schema.attributes.map(described),
    meta: { resourceType: "Schema", location: `${base}/Schemas/${schema.id}` },
  }));
}

/** RFC 7643 §7: case and uniqueness say something about texts only. */
function described(attribute: Attribute): Resource {
  const { name, type, multiValued, description, required, mutability, returned } = attribute;
  const text = type === "string" || type === "reference";
  return {
    name,
    type,
    multiValued,
    description,
    required,
    mutability,
    returned,
    ...(text && { caseExact: attribute.caseExact, uniqueness: attribute.uniqueness }),
    ...(attribute.canonicalValues !== undefined && { canonicalValues: attribute.canonicalValues }),
    ...(attribute.referenceTypes !== undefined && { referenceTypes: attribute.referenceTypes }),
    ...(attribute.subAttributes !== undefined && { subAttributes: attribute.subAttributes.map(described) }),
  };
}

export function listResponse(
  resources: readonly Resource[],
  page: { readonly total?: number; readonly startIndex?: number } = {},
): Resource {
  return {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
    totalResults: page.total ?? resources.length,
    startIndex: page.startIndex ?? 1,
    itemsPerPage: resources.length,
    Resources: resources,
  };
}

/** The URNs a resource has something of. */
export function schemasOf(type: ResourceType, resource: Resource): string[] {
  return [type.core.id, ...Object.keys(resource).filter((name) => name.startsWith("urn:"))];
}
