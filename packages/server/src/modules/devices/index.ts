export { createDeviceDirectory } from "./directory.ts";
export type { DeviceFacts, DeviceReport, LicenseUse } from "./facts.ts";
export { createHandOvers, createOrgDevices, handOverRoutes, type HandOvers } from "./hand-overs/index.ts";
export { createMerges, mergeRoutes, type ExchangeReports, type Merges } from "./merges/index.ts";
export { createDevices, type Device, type Devices } from "./service.ts";
export { deviceStates, type Counting, type DeviceInput, type DeviceState } from "./write.ts";
export { deviceRoutes } from "./routes.ts";
