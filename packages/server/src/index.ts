export { createServer, type Server } from "./app.ts";
export { loadServerConfig, serverConfigSchema, type ServerConfig } from "./config.ts";
export { serverErrors } from "./errors.ts";
export { scimErrors } from "./modules/scim/index.ts";
export { rowFaults } from "./rows.ts";
export { inspectStore, type StoreReport } from "./db/inspect.ts";
export { openAccess, type OpenedAccess } from "./maintenance.ts";
