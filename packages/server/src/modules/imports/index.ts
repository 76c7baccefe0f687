export { importRoutes } from "./routes.ts";
export { createImports, importKinds, type ImportKind, type ImportResult, type Imports } from "./service.ts";
