export * from "./canonical.ts";
export * from "./inventory.ts";
export * from "./policy-documents.ts";
export * from "./schema.ts";
