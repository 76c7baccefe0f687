export * from "./follow.ts";
export * from "./plan.ts";
export * from "./pool.ts";
export { shareOut, type Weight } from "./share.ts";
