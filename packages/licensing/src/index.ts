export * from "./alarm.ts";
export * from "./counts.ts";
export * from "./entitlement.ts";
export * from "./laws.ts";
export * from "./position.ts";
export * from "./tree.ts";
