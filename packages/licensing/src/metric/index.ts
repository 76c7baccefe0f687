export * from "./count.ts";
export * from "./hardware.ts";
export * from "./rule.ts";
