export { eachPacked, unpackLicenses } from "./pack.ts";
export { createRepository, type LicenseInfo, type OpenLicenses, type Repository } from "./repository.ts";
