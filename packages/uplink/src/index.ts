export * from "./atomic-file.ts";
export * from "./channel.ts";
export * from "./enroll.ts";
export * from "./errors.ts";
export * from "./identity.ts";
export * from "./transport.ts";
export * from "./uplink.ts";
export * from "./upstreams.ts";
