/**
 * Purpose: a policy after parsing - what is written, understood, with the way back to its place in the file.
 */
import type { LicenseRule, MetricRule, SoftwareDefinition } from "@daicho/protocol";
import type { Place, PolicyFault } from "../faults.ts";
import type { Condition } from "../language/condition.ts";
import type { Rule } from "../language/rule.ts";

export type Edition = "enterprise" | "local";

export interface ParsedSoftware {
  readonly definition: SoftwareDefinition;
  readonly condition: Condition;
  /** Where the code stands. */
  readonly place: Place;
  /** From an offset in `definition.detect` to the file. */
  placeInCondition(offset: number): Place;
}

export interface ParsedRule {
  readonly rule: LicenseRule;
  readonly parsed: Rule;
  /** Where the rule's text begins. */
  readonly place: Place;
  /** From an offset in `rule.rule` to the file. */
  placeInRule(offset: number): Place;
  /** Where the metric stands, when one is given. */
  readonly metricPlace?: Place;
  /** Where the metric rule is named, when one is. */
  readonly countPlace?: Place;
}

export interface ParsedMetricRule {
  readonly rule: MetricRule;
  /** Where the id stands. */
  readonly place: Place;
}

export interface FaultyCode {
  readonly code: string;
  /** Where a faulty software definition defines it; absent for what a faulty rule yields and for a metric rule's id. */
  readonly definedAt?: Place;
}

export interface ParsedPolicy {
  readonly file: string;
  readonly id: string;
  readonly edition: Edition;
  readonly version: number;
  readonly place: { readonly id: Place; readonly version: Place };
  readonly metrics: readonly ParsedMetricRule[];
  readonly software: readonly ParsedSoftware[];
  readonly licenses: readonly ParsedRule[];
  /**
   * Codes and metric rules' ids that faulty entries define or yield. They count as known, so that one fault does not cause another in
   * every rule that names the code. Empty in a policy without faults.
   */
  readonly faultyCodes: readonly FaultyCode[];
}

export interface PolicyReading {
  /** Only a policy without faults is for use. */
  readonly policy?: ParsedPolicy;
  /** What could be understood; for the checks across policies (checkPolicies), never for building documents. */
  readonly partial?: ParsedPolicy;
  readonly faults: readonly PolicyFault[];
}
