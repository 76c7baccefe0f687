export { createOrgDevices } from "./devices.ts";
