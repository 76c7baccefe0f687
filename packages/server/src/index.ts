export { createServer, type Server } from "./app.ts";
export { loadServerConfig, serverConfigSchema, type ServerConfig } from "./config.ts";
export { serverErrors } from "./errors.ts";
export { inspectStore, openAccess, type OpenedAccess, type StoreReport } from "./maintenance.ts";
