export { createScim, createScimFollower, type Scim, type ScimConfig } from "./service.ts";
export { scimErrors } from "./protocol/errors.ts";
