/**
 * Purpose: configuration, read once: defaults < file (YAML) < environment < flags; validated against a JSON Schema; frozen.
 * Invariants: an unknown or wrong key is refused with its path; every fault is reported; a value never appears in a message.
 * Environment: DAICHO_ + path, upper case, joined by `_` (DAICHO_LIMITS_SPOOLBYTES). Any string key `x` marked `secret: true`
 * in the schema, and any that has a sibling `xFile` property, can be given as the content of the file named by `xFile`.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Ajv, ErrorObject } from "ajv";
import { kernelErrors } from "./kernel-errors.ts";

/** Validator and YAML are loaded where a configuration is read: a command without one has no time or memory to spare for them. */
const require = createRequire(import.meta.url);

interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

export interface LoadConfigOptions {
  readonly schema: object;
  /** The YAML file; absent = defaults, environment and flags only. */
  readonly file?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Values from the command line, already in the config's shape. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

/** Reads, merges, validates (filling defaults from the schema) and freezes. @throws config-unreadable, config-invalid, secret-unreadable */
export function loadConfig<T>(options: LoadConfigOptions): T {
  const schema = options.schema as JsonSchema;
  const place = options.file ?? "configuration";
  const value: Record<string, unknown> = options.file === undefined ? {} : readYaml(options.file);
  applyEnvironment(schema, value, "DAICHO", options.env ?? process.env);
  merge(value, options.flags ?? {});
  const { Ajv: Validator } = require("ajv") as { Ajv: new (options: object) => Ajv };
  const ajv = new Validator({ allErrors: true, useDefaults: true, strict: false, coerceTypes: false });
  if (!ajv.validate(schema, value)) {
    const faults = [...new Set((ajv.errors ?? []).map(describe))].join("; ");
    throw kernelErrors.make("config-invalid", { file: place, faults });
  }
  readSecretFiles(value, "");
  return deepFreeze(value) as T;
}

function readYaml(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw kernelErrors.make("config-unreadable", { file, reason: (error as NodeJS.ErrnoException).code ?? "unknown" });
  }
  const yaml = require("yaml") as { parse(text: string): unknown };
  let parsed: unknown;
  try {
    parsed = yaml.parse(text);
  } catch (error) {
    const at = (error as { linePos?: { line: number; col: number }[] }).linePos?.[0];
    const where = at === undefined ? "" : ` at line ${at.line}, column ${at.col}`;
    throw kernelErrors.make("config-invalid", { file, faults: `not YAML${where}` });
  }
  if (parsed === null || parsed === undefined) return {};
  if (typeof parsed !== "object" || Array.isArray(parsed))
    throw kernelErrors.make("config-invalid", { file, faults: "must be a mapping of keys" });
  return parsed as Record<string, unknown>;
}

function applyEnvironment(
  schema: JsonSchema,
  target: Record<string, unknown>,
  prefix: string,
  env: Readonly<Record<string, string | undefined>>,
): void {
  for (const [key, sub] of Object.entries(schema.properties ?? {})) {
    const name = `${prefix}_${key.toUpperCase()}`;
    if (sub.properties !== undefined) {
      const existing = target[key];
      const child = isMapping(existing) ? existing : {};
      applyEnvironment(sub, child, name, env);
      if (Object.keys(child).length > 0 && (existing === undefined || isMapping(existing))) target[key] = child;
      continue;
    }
    const text = env[name];
    if (text === undefined) continue;
    target[key] = fromText(text, sub);
  }
}

function fromText(text: string, schema: JsonSchema): unknown {
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? []);
  if (types.includes("array")) return text === "" ? [] : text.split(",").map((part) => part.trim());
  if ((types.includes("integer") || types.includes("number")) && text.trim() !== "" && Number.isFinite(Number(text)))
    return Number(text);
  if (types.includes("boolean") && (text === "true" || text === "false")) return text === "true";
  return text;
}

function merge(target: Record<string, unknown>, source: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(source)) {
    if (value === undefined) continue;
    const existing = target[key];
    if (isMapping(value) && isMapping(existing)) merge(existing, value);
    else target[key] = value;
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(error: ErrorObject): string {
  const path = error.instancePath.slice(1).replaceAll("/", ".");
  if (error.keyword === "additionalProperties") {
    const key = (error.params as { additionalProperty: string }).additionalProperty;
    return `${path === "" ? key : `${path}.${key}`}: unknown key`;
  }
  if (error.keyword === "required") {
    const key = (error.params as { missingProperty: string }).missingProperty;
    return `${path === "" ? key : `${path}.${key}`}: is missing`;
  }
  if (error.keyword === "enum")
    return `${path}: must be one of ${(error.params as { allowedValues: unknown[] }).allowedValues.join(", ")}`;
  return `${path === "" ? "(top)" : path}: ${error.message ?? "is not valid"}`;
}

/** `somethingFile: path` fills `something` with the file's trimmed content, unless `something` is set. */
function readSecretFiles(value: Record<string, unknown>, path: string): void {
  for (const [key, item] of Object.entries(value)) {
    const here = path === "" ? key : `${path}.${key}`;
    if (isMapping(item)) readSecretFiles(item, here);
    else if (/Token(File)$|Password(File)$|Secret(File)$/.test(key) && typeof item === "string") {
      const plain = key.slice(0, -"File".length);
      if (value[plain] !== undefined) continue;
      try {
        value[plain] = readFileSync(item, "utf8").trim();
      } catch (error) {
        throw kernelErrors.make("secret-unreadable", {
          key: here,
          reason: (error as NodeJS.ErrnoException).code ?? "unknown",
        });
      }
    }
  }
}

function deepFreeze(value: unknown): unknown {
  if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) deepFreeze(item);
    Object.freeze(value);
  }
  return value;
}

/** `6h`, `30m`, `7d`, `90s`, `250ms` → milliseconds; undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text.trim());
  if (match === null) return undefined;
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as "ms" | "s" | "m" | "h" | "d"];
  return Number(match[1]) * unit;
}
