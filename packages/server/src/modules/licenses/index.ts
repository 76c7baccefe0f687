export { ensureLicenses } from "./catalog-store.ts";
export { contractPrices, type ContractPrice } from "./contract-prices.ts";
export * from "./entitlements/index.ts";
export { createOrgLicenses } from "./organization.ts";
export * from "./metric-rules/index.ts";
export * from "./positions/index.ts";
export * from "./rights/index.ts";
export { holdCounting, recordingTime, touchPositions, type Touched } from "./version.ts";
