export { createServer, type Server } from "./app.ts";
export { loadServerConfig, serverConfigSchema, type ServerConfig } from "./config.ts";
export { serverErrors } from "./errors.ts";
