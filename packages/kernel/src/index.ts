export * from "./clock.ts";
export * from "./config.ts";
export * from "./errors.ts";
export * from "./ids.ts";
export * from "./kernel-errors.ts";
export * from "./log.ts";
export * from "./shares.ts";
export * from "./tls.ts";
