export { type ExplainedFacts } from "./device.ts";
export { explainRoutes } from "./routes.ts";
export { createExplain, type Explain } from "./service.ts";
