/**
 * Purpose: every fault the policy language can report, in one table: code, message template, what to do about it.
 * Invariants: codes are protocol - callers match on `code`, never on text. A message quotes what the author wrote
 * (bounded), nothing else. A fault always has a place in a file, counted from 1.
 */

export interface Place {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters (a character outside the basic plane counts once). */
  readonly column: number;
}

export interface PolicyFault extends Place {
  readonly file: string;
  readonly code: FaultCode;
  readonly message: string;
}

export interface FaultEntry {
  readonly status: number;
  /** `{name}` places are filled from the details. */
  readonly message: string;
  /** What the author of the policy should do. */
  readonly action: string;
}

const entry = (message: string, action: string): FaultEntry => ({ status: 422, message, action });

export const policyFaults = {
  // The file
  "policy-too-large": entry(
    "the policy is larger than {limit} characters",
    "Split it into several policies with their own ids.",
  ),
  "wrong-encoding": entry("the file is not UTF-8 text: these bytes are of another encoding", "Save it as UTF-8."),
  "yaml-syntax": entry("{reason}", "Correct the YAML."),
  "yaml-too-deep": entry("the document is nested too deeply", "A policy is never deeper than a list of maps."),
  "yaml-alias": entry("anchors and aliases (& and *) are not part of the policy format", "Write the value out."),
  "not-a-policy": entry(
    "this is not a policy: {reason}",
    "A policy is a YAML map that begins with `daicho: policy/v1`.",
  ),
  "duplicate-key": entry("the key {key} is given twice", "Keep one of the two."),
  "unknown-key": entry("unknown key {key}", "Known keys here: {known}."),
  "missing-key": entry("the key {key} is missing", "Add it."),
  "wrong-type": entry("{key} must be {expected}", "Correct the value."),
  "empty-value": entry("{key} is empty", "Give it a value."),
  "value-too-long": entry("{key} is longer than {limit} characters", "Shorten it."),
  "bad-edition": entry("edition must be enterprise or local", "Write `edition: enterprise` or `edition: local`."),
  "bad-version": entry(
    "version must be a whole number from 1",
    "Write for example `version: 1`; raise it with each change.",
  ),
  "bad-metric": entry("unknown metric {metric}", "Known metrics: {known}."),
  "bad-factor": entry(
    "{text} is no factor",
    "A factor is a number from 0.001 to {limit} with at most three decimals: 0.5, 0.75, 120.",
  ),
  "bad-metric-id": entry(
    "{text} cannot be the id of a metric rule",
    "Use lower-case letters, digits, hyphen and full stop, at most 64 characters: oracle-processor.",
  ),
  "bad-date": entry("{text} is not a date", "Write the day as 2026-01-31."),
  "bad-metric-rule": entry("this metric rule cannot count: {reason}", "Correct the rule."),
  "bad-code": entry(
    "{text} is not a code",
    "A code is @ followed by letters, digits, hyphen, underscore or full stop, at most 64 characters in all.",
  ),
  "too-many-faults": entry("more than {limit} faults; the rest is not shown", "Correct these first."),

  // Expressions
  "unexpected-character": entry("unexpected character {text}", "{hint}"),
  "unclosed-string": entry(
    "the string that begins here is not closed",
    'Close it with ". Write \\" for a quote inside it.',
  ),
  "unexpected-token": entry("expected {expected}, found {found}", "Correct the expression here."),
  "unclosed-parenthesis": entry("this parenthesis is not closed", "Add the closing parenthesis."),
  "too-deep": entry(
    "parentheses and NOT are nested deeper than {limit}",
    "Simplify, or derive a code in a rule of its own.",
  ),
  "rule-without-result": entry("the rule does not say which code it yields", "End it with `= @CODE`."),
  "unknown-probe": entry("unknown probe {probe}", "Known probes: file, registry, package, app, swid."),
  "unknown-field": entry("{probe} has no field {field}", "Its fields: {known}."),
  "bad-operator": entry("{operator} cannot be used on {probe}.{field}", "Operators for this field: {known}."),
  "bad-value": entry("{text} is no value for {probe}.{field}: {reason}", "Correct the value."),
  "empty-probe": entry("{probe}() says nothing", "Give it at least one comparison."),
  "probe-too-wide": entry(
    "{probe} needs {needed}, with = or ~",
    "Without it every {thing} of the machine would have to be read.",
  ),
  "probe-too-long": entry("the probe is longer than {limit} characters", "Split it into several probes."),

  // Policies together
  "duplicate-policy": entry("the policy id {id} is used by two policies ({other})", "Give each policy its own id."),
  "duplicate-code": entry(
    "the code {code} is already defined ({other})",
    "A code is defined once. Choose another one or remove this.",
  ),
  "redefined-code": entry(
    "the local edition redefines the enterprise code {code} ({other})",
    "A local edition adds codes; choose one that the enterprise edition does not use.",
  ),
  "unknown-code": entry(
    "unknown code {code}: no software defines it and no rule yields it",
    "Check the spelling (codes are compared exactly), or define it. The enterprise edition can only use its own codes.",
  ),
  cycle: entry(
    "the rules go round in a circle: {codes}",
    "Take one of these codes out of the rule that closes the circle.",
  ),
  "never-holds": entry("this can never hold: {reason}", "Correct or remove it."),
  "metric-conflict": entry(
    "the licence {code} is counted by {metric} here and by {otherMetric} in another rule ({other})",
    "Use one metric for all rules that yield the licence.",
  ),
  "unknown-metric-rule": entry(
    "there is no metric rule {id}",
    "Check the spelling, or add it to `metrics:`. The enterprise edition can only use its own.",
  ),
  "duplicate-metric-rule": entry(
    "the metric rule {id} is already defined for the same day ({other})",
    "Give the newer one its own `validFrom`, or remove one.",
  ),
  "redefined-metric-rule": entry(
    "the local edition redefines the enterprise metric rule {id} ({other})",
    "A local edition adds metric rules; choose an id that the enterprise edition does not use.",
  ),
  "count-conflict": entry(
    "the licence {code} is counted by {id} here and by {otherId} in another rule ({other})",
    "Use one metric rule for all rules that yield the licence.",
  ),
  "count-needs-units": entry(
    "a licence by {metric} is not counted by a metric rule",
    "Metric rules count `metric: core` and `metric: processor`; leave out `count`, or change the metric.",
  ),
  "version-not-risen": entry(
    "version {version} of {id} does not come after version {previous}",
    "Raise the version; it never falls and is never used twice.",
  ),
} as const satisfies Record<string, FaultEntry>;

export type FaultCode = keyof typeof policyFaults;
export type FaultDetails = Readonly<Record<string, string | number>>;

const quotedLimit = 120;
/** A circle is named whole: which of its codes has to go is for the author to see. */
const circleLimit = 8_192;

export function faultMessage(code: FaultCode, details: FaultDetails = {}): string {
  return fill(policyFaults[code].message, details);
}

/** What to do about a fault, with the same details filled in; places without a detail stay readable. */
export function faultAction(code: FaultCode, details: FaultDetails = {}): string {
  return fill(policyFaults[code].action, details);
}

export function makeFault(file: string, place: Place, code: FaultCode, details: FaultDetails = {}): PolicyFault {
  return { file, line: place.line, column: place.column, code, message: describe(code, details) };
}

/** The order in which an author reads them: by file as given, then down the page. */
export function byPlace(a: PolicyFault, b: PolicyFault): number {
  return a.line - b.line || a.column - b.column || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0);
}

/** Thrown where text that was already checked proves faulty after all (a document altered by hand). */
export class PolicyError extends Error {
  readonly faults: readonly PolicyFault[];
  constructor(faults: readonly PolicyFault[]) {
    super(faults.map((f) => `${f.file}:${f.line}:${f.column}: ${f.message}`).join("; ") || "the policy is faulty");
    this.name = "PolicyError";
    this.faults = faults;
  }
}

function describe(code: FaultCode, details: FaultDetails): string {
  return `${faultMessage(code, details)}. ${faultAction(code, details)}`;
}

function fill(template: string, details: FaultDetails): string {
  return template
    .replace(/\{(\w+)\}/g, (whole, key: string) => {
      const value = details[key];
      return value === undefined ? whole : printable(clip(String(value), key === "codes" ? circleLimit : quotedLimit));
    })
    .trim();
}

function clip(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}

/** A message is one line and cannot steer a terminal: control characters and what turns the direction of writing are spelt out. */
function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
