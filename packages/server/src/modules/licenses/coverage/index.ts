export { effectAt, inputOf, politely, type CoverageEffect } from "./effect.ts";
export { loadFacts, refreshFacts, traitsIn, type CoverageFacts, type FactLicense } from "./facts.ts";
