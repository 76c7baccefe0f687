export * from "./alarm.ts";
export * from "./causes.ts";
export * from "./counts.ts";
export * from "./entitlement.ts";
export * from "./laws.ts";
export * from "./position.ts";
export * from "./purchase/index.ts";
export * from "./tree.ts";
