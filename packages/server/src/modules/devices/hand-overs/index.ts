export { createOrgDevices } from "./devices.ts";
export { handOverRoutes } from "./routes.ts";
export { createHandOvers, type HandOver, type HandOvers } from "./service.ts";
