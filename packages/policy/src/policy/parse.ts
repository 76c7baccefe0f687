/**
 * Purpose: reads a policy file (YAML or JSON, contract.md "Files") into a ParsedPolicy, or into faults with their
 * places - as many as one reading can find.
 * Invariants: pure; no input crashes or hangs it; a fault never hides the faults behind it, but for those of the YAML itself: they stand alone.
 */
import { isMap, isScalar, LineCounter, parseDocument, type Document, type YAMLMap, type YAMLParseError } from "yaml";
import { metrics, type LicenseRule, type Metric, type SoftwareDefinition } from "@daicho/protocol";
import { byPlace, makeFault, type Place, type PolicyFault } from "../faults.ts";
import { parseCondition } from "../language/condition.ts";
import { parseRule } from "../language/rule.ts";
import { isCode } from "../language/tokens.ts";
import type { TextFault } from "../language/parser.ts";
import { readMetricRule } from "./metric-rule.ts";
import { createLines, decodeText } from "./places.ts";
import { placeOf, readBoolean, readList, readMap, readText, type Entries, type Reader, type Text } from "./reader.ts";
import type { Edition, FaultyCode, ParsedRule, ParsedSoftware, PolicyReading } from "./types.ts";

export const policyTextLimit = 32 * 1024 * 1024;
const faultLimit = 500;

/** `source`: the text, or the bytes of a file. */
export function parsePolicy(source: string | Uint8Array, options: { readonly file: string }): PolicyReading {
  const { file } = options;
  const text = typeof source === "string" ? source : decodeText(source);
  if (typeof text !== "string") return { faults: [makeFault(file, text.invalidAt, "wrong-encoding", {})] };
  const faults: PolicyFault[] = [];
  const start: Place = { line: 1, column: 1 };
  let overflowed = false;
  const reader: Reader = {
    source: text,
    lines: createLines(text.length > policyTextLimit ? "" : text),
    fault(place, code, details) {
      if (faults.length < faultLimit) faults.push(makeFault(file, place, code, details));
      else overflowed = true;
    },
  };
  const finish = (): PolicyFault[] => {
    faults.sort(byPlace);
    if (overflowed) {
      const last = faults[faults.length - 1] ?? start;
      faults.push(makeFault(file, last, "too-many-faults", { limit: faultLimit }));
    }
    return faults;
  };

  if (text.length > policyTextLimit) {
    reader.fault(start, "policy-too-large", { limit: policyTextLimit });
    return { faults: finish() };
  }
  const root = readDocument(reader);
  if (root === undefined) return { faults: finish() };

  const entries = readMap(reader, root, "the policy", [
    "daicho",
    "id",
    "edition",
    "version",
    "metrics",
    "software",
    "licenses",
  ]);
  readFormat(reader, entries, root);
  const id = readText(reader, entries, "id", { limit: 128, required: root });
  const edition = readEdition(reader, entries, root);
  const version = readVersion(reader, entries, root);
  const faultyCodes: FaultyCode[] = [];
  const metricRules = readList(reader, entries, "metrics", (node) => readMetricRule(reader, node, faultyCodes));
  const software = readList(reader, entries, "software", (node) => readSoftware(reader, node, faultyCodes));
  const licenses = readList(reader, entries, "licenses", (node) => readRule(reader, node, faultyCodes));

  const partial = {
    file,
    id: id?.value ?? "",
    edition: edition ?? "enterprise",
    version: version?.value ?? 0,
    place: { id: id?.place ?? start, version: version?.place ?? start },
    metrics: metricRules,
    software,
    licenses,
    faultyCodes,
  };
  if (faults.length === 0) return { policy: partial, partial, faults: [] };
  // Without id and edition the other policies cannot be held against this one.
  return id === undefined || edition === undefined ? { faults: finish() } : { partial, faults: finish() };
}

function readDocument(reader: Reader): YAMLMap | undefined {
  const start: Place = { line: 1, column: 1 };
  let document: Document.Parsed;
  try {
    document = parseDocument(reader.source, {
      uniqueKeys: false, // its check is quadratic; readMap has its own
      lineCounter: new LineCounter(),
      prettyErrors: false,
      logLevel: "error", // silent would pass over a second document
    });
  } catch {
    // The only thing it throws on is a document nested deeper than the stack.
    reader.fault(start, "yaml-too-deep");
    return undefined;
  }
  let last = "";
  for (const error of document.errors) {
    // One unclosed bracket of many is told for each of them at the same place.
    const told = `${error.pos[0]} ${error.code}`;
    if (told === last) continue;
    last = told;
    const place = reader.lines.placeOf(error.pos[0]);
    if (/call stack/i.test(error.message)) reader.fault(place, "yaml-too-deep");
    else reader.fault(place, "yaml-syntax", { reason: syntaxReason(error, reader.source) });
  }
  // What a parser makes of text that is no YAML is a guess: its faults would be the guess's, not the author's.
  if (document.errors.length > 0) return undefined;
  const root: unknown = document.contents;
  if (isMap(root)) return root;
  reader.fault(start, "not-a-policy", { reason: root === null ? "it is empty" : "it is no map" });
  return undefined;
}

function syntaxReason(error: YAMLParseError, source: string): string {
  if (error.code === "MULTIPLE_DOCS") return "A second document begins here; a file holds one policy";
  if (error.code === "BAD_SCALAR_START" && source[error.pos[0]] === "@")
    return 'A value that begins with @ must be quoted: "@CODE"';
  return oneSentence(error.message);
}

function readFormat(reader: Reader, entries: Entries, root: YAMLMap): void {
  const format = readText(reader, entries, "daicho", { limit: 64, required: root });
  if (format !== undefined && format.value !== "policy/v1") {
    reader.fault(format.place, "not-a-policy", { reason: `daicho is ${format.value}, not policy/v1` });
  }
}

function readEdition(reader: Reader, entries: Entries, root: YAMLMap): Edition | undefined {
  const edition = readText(reader, entries, "edition", { limit: 64, required: root });
  if (edition === undefined) return undefined;
  if (edition.value === "enterprise" || edition.value === "local") return edition.value;
  reader.fault(edition.place, "bad-edition");
  return undefined;
}

function readVersion(reader: Reader, entries: Entries, root: YAMLMap): { value: number; place: Place } | undefined {
  const pair = entries.get("version");
  if (pair === undefined) {
    reader.fault(placeOf(reader, root), "missing-key", { key: "version" });
    return undefined;
  }
  const place = placeOf(reader, pair.value ?? pair.key);
  const value = isScalar(pair.value) ? pair.value.value : undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return { value, place };
  reader.fault(place, "bad-version");
  return undefined;
}

function readSoftware(reader: Reader, map: YAMLMap, faultyCodes: FaultyCode[]): ParsedSoftware | undefined {
  const entries = readMap(reader, map, "software", ["code", "name", "publisher", "version", "detect"]);
  const code = readText(reader, entries, "code", { limit: 64, required: map });
  const name = readText(reader, entries, "name", { limit: 256, required: map });
  const publisher = readText(reader, entries, "publisher", { limit: 256 });
  const version = readText(reader, entries, "version", { limit: 128 });
  const detect = readText(reader, entries, "detect", { limit: 8192, required: map });
  const codeIsGood = code !== undefined && isCode(code.value);
  if (code !== undefined && !codeIsGood) reader.fault(code.place, "bad-code", { text: code.value });
  const condition = detect === undefined ? undefined : parseCondition(detect.value);
  if (detect !== undefined && condition !== undefined) reportText(reader, detect, condition.faults);
  if (!codeIsGood || name === undefined || detect === undefined || condition?.value === undefined) {
    if (codeIsGood) faultyCodes.push({ code: code.value, definedAt: code.place });
    return undefined;
  }
  const definition: SoftwareDefinition = {
    code: code.value,
    name: name.value,
    ...(publisher === undefined ? {} : { publisher: publisher.value }),
    ...(version === undefined ? {} : { version: version.value }),
    detect: detect.value,
  };
  return {
    definition,
    condition: condition.value,
    place: code.place,
    placeInCondition: (offset) => detect.placeAt(offset),
  };
}

function readRule(reader: Reader, map: YAMLMap, faultyCodes: FaultyCode[]): ParsedRule | undefined {
  const entries = readMap(reader, map, "licenses", ["rule", "name", "metric", "count", "shares"]);
  const text = readText(reader, entries, "rule", { limit: 8192, required: map });
  const name = readText(reader, entries, "name", { limit: 256 });
  const metric = readText(reader, entries, "metric", { limit: 64 });
  if (metric !== undefined && !isMetric(metric.value)) {
    reader.fault(metric.place, "bad-metric", { metric: metric.value, known: metrics.join(", ") });
  }
  const count = readText(reader, entries, "count", { limit: 64 });
  const shares = readBoolean(reader, entries, "shares");
  if (text === undefined) return undefined;
  const parsed = parseRule(text.value);
  reportText(reader, text, parsed.faults);
  if (parsed.value === undefined) {
    const yields = lastCode(text.value);
    if (yields !== undefined) faultyCodes.push({ code: yields });
    return undefined;
  }
  const rule: LicenseRule = {
    rule: text.value.trim(),
    ...(name === undefined ? {} : { name: name.value }),
    ...(metric !== undefined && isMetric(metric.value) ? { metric: metric.value } : {}),
    ...(count === undefined ? {} : { count: count.value }),
    ...(shares === undefined ? {} : { shares }),
  };
  const lead = text.value.length - text.value.trimStart().length;
  return {
    rule,
    parsed: parsed.value,
    place: text.placeAt(lead),
    placeInRule: (offset) => text.placeAt(offset),
    ...(metric === undefined ? {} : { metricPlace: metric.place }),
    ...(count === undefined ? {} : { countPlace: count.place }),
  };
}

function isMetric(text: string): text is Metric {
  return (metrics as readonly string[]).includes(text);
}

function reportText(reader: Reader, text: Text, faults: readonly TextFault[]): void {
  for (const f of faults) reader.fault(text.placeAt(f.at), f.code, f.details);
}

/** The code a faulty rule would have yielded, as far as one can tell. */
function lastCode(rule: string): string | undefined {
  const code = rule.slice(rule.lastIndexOf("=") + 1).trim();
  return rule.includes("=") && isCode(code) ? code : undefined;
}

function oneSentence(message: string): string {
  const line = message.split("\n")[0] ?? "";
  return line.replace(/[.:]\s*$/, "");
}
