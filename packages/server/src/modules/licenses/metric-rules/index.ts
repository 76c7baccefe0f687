export { createMetricRules, type MetricRules } from "./service.ts";
export { metricRuleRoutes } from "./routes.ts";
