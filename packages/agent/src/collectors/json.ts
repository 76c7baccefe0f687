/**
 * Purpose: JSON files of strangers, narrowed step by step. On failure: a Fault (malformed).
 */
import { Fault } from "./findings.ts";

export function parseObject(text: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Fault("malformed", "is not JSON");
  }
  if (!isRecord(parsed)) throw new Fault("malformed", "is not a JSON object");
  return parsed;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function record(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
