export { effectAt, inputOf, type CoverageEffect } from "./effect.ts";
export {
  everywhere,
  keepTraits,
  loadFacts,
  refreshFacts,
  reshapedFrom,
  traitsIn,
  type CoverageFacts,
  type FactLicense,
} from "./facts.ts";
