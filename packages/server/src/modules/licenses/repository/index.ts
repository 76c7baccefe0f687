export { createRepository, type Repository, type LicenseInfo } from "./repository.ts";
