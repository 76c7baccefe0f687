export { explainRoutes } from "./routes.ts";
export { createExplain, type Explain, type ExplainedFacts } from "./service.ts";
