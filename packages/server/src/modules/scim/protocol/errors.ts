/**
 * Purpose: what a SCIM request can be refused with (RFC 7644 §3.12). The stable code stands in brackets at the end of `detail`, because SCIM's own
 * `scimType` names a few kinds of faults only.
 */
import { defineErrors, isDaichoError, type DaichoError } from "@daicho/kernel";

export const scimErrors = defineErrors({
  "scim-syntax-invalid": {
    status: 400,
    message: "The body is not what this request needs: {reason}",
    action: "Send a JSON object as RFC 7644 describes it.",
  },
  "scim-filter-invalid": {
    status: 400,
    message: "The filter cannot be used, at character {at}: {reason}",
    action: "Correct the filter; /scim/v2/Schemas lists the attributes.",
  },
  "scim-path-invalid": {
    status: 400,
    message: "{place}: the path cannot be used, at character {at}: {reason}",
    action: "Correct the path; /scim/v2/Schemas lists the attributes.",
  },
  "scim-no-target": {
    status: 400,
    message: "{place}: {reason}",
    action: "Name in `path` what is to be changed.",
  },
  "scim-value-invalid": {
    status: 400,
    message: "{place}: {reason}",
    action: "Correct the value, or the mapping of this attribute in the identity provider.",
  },
  "scim-read-only": {
    status: 400,
    message: "{place}: {attribute} cannot be set by a client or cannot be without a value",
    action: "Leave it out of the mapping.",
  },
  "scim-exists": {
    status: 409,
    message: "{what} {value} belongs to another {resource} ({id})",
    action: "Match it by this attribute instead of creating it, or remove the other one.",
  },
  "scim-conflict": {
    status: 409,
    message: "{reason}",
    action: "Read the current state and try again.",
  },
  "scim-not-found": {
    status: 404,
    message: "There is no {what} {id}",
    action: "Look it up by a filter.",
  },
  "scim-version-changed": {
    status: 412,
    message: "{id} was changed since version {version} was read",
    action: "Read it again and repeat the change.",
  },
  "scim-too-large": {
    status: 413,
    message: "{place}: more than {limit} {what}",
    action: "Send it in several requests.",
  },
  "scim-too-many": {
    status: 400,
    message: "More than {limit} resources would have to be sorted",
    action: "Narrow the filter, or leave sortBy out.",
  },
  "scim-not-offered": {
    status: 501,
    message: "{what} is not offered here",
    action: "See /scim/v2/ServiceProviderConfig for what is.",
  },
});

type ScimCode = keyof typeof scimErrors.table;

const scimTypes: Readonly<Partial<Record<ScimCode, string>>> = {
  "scim-syntax-invalid": "invalidSyntax",
  "scim-filter-invalid": "invalidFilter",
  "scim-path-invalid": "invalidPath",
  "scim-no-target": "noTarget",
  "scim-value-invalid": "invalidValue",
  "scim-read-only": "mutability",
  "scim-exists": "uniqueness",
  "scim-too-many": "tooMany",
};

/** A refusal as RFC 7644 §3.12 wants it. */
export function errorBody(error: DaichoError): Record<string, unknown> {
  const scimType = scimTypes[error.code as ScimCode] ?? (error.code === "input-invalid" ? "invalidValue" : undefined);
  return {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
    status: String(error.status),
    ...(scimType !== undefined && { scimType }),
    detail: `${error.message}. ${error.action} [${error.code}]`,
  };
}

export function valueInvalid(place: string, reason: string): DaichoError {
  return scimErrors.make("scim-value-invalid", { place, reason });
}

export function isScimError(error: unknown, code: ScimCode): error is DaichoError {
  return isDaichoError(error, code);
}
