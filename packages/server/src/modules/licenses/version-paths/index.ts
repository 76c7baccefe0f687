export { versionPathRoutes } from "./routes.ts";
export { createVersionPaths, type VersionPathItem, type VersionPaths } from "./service.ts";
