export { eachPacked, unpackLicenses } from "./pack.ts";
export { createRepository, type Repository, type LicenseInfo } from "./repository.ts";
