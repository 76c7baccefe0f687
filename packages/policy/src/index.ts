/**
 * Purpose: the policy language (domain.md §2): parse → check → build documents → recognise → match → explain. Pure.
 */
export { byPlace, faultMessage, makeFault, PolicyError, policyFaults } from "./faults.ts";
export type { FaultCode, FaultEntry, Place, PolicyFault } from "./faults.ts";

export { parsePolicy } from "./policy/parse.ts";
export type {
  Edition,
  ParsedMetricRule,
  ParsedPolicy,
  ParsedRule,
  ParsedSoftware,
  PolicyReading,
} from "./policy/types.ts";
export { checkPolicies, type CheckOptions } from "./check/check.ts";
export { loadPolicies, type LoadedPolicies } from "./load.ts";
export {
  buildDocuments,
  listLicenses,
  type BuildInput,
  type BuiltDocuments,
  type SelectableLicense,
} from "./documents.ts";
export { draftDefinition } from "./drafts.ts";

export type { Expression } from "./language/expression.ts";
export type { Parsed, TextFault } from "./language/parser.ts";
export { parseCondition, printCondition, type Condition } from "./language/condition.ts";
export { parseRule, printRule, type Rule } from "./language/rule.ts";
export { fieldType, operatorsOf, packageManagers, probeShapes } from "./language/probes.ts";
export type { Comparison, FieldType, Operator, Probe, ProbeKind, ProbeName } from "./language/probes.ts";
export { isCode } from "./language/tokens.ts";

export {
  compileDictionary,
  dictionarySteps,
  type HoldingProbes,
  type ProbeHit,
  type Recognizer,
} from "./recognize/recognizer.ts";
export { satisfies, unmetField } from "./recognize/satisfies.ts";
export { compileGlob, matchGlob, type Glob } from "@daicho/protocol";
export { foldName, foldPath, foldRegistryKey } from "./recognize/names.ts";

export { compileRules, type LicenseHit, type Matcher, type MatchResult } from "./match/matcher.ts";
export type { ExplainedLicense, Explanation, NotMatched, Reason } from "./match/explain.ts";

export { compareVersions } from "./version/index.ts";
