export { effectAt, inputOf, politely, type CoverageEffect } from "./effect.ts";
export {
  everywhere,
  isReshaped,
  loadFacts,
  refreshFacts,
  traitsIn,
  type CoverageFacts,
  type FactLicense,
} from "./facts.ts";
