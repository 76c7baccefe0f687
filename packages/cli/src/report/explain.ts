/**
 * Purpose: `daicho report explain`: why a device uses a licence or does not, and what a position is the sum of. The server explains; here it is put
 * into lines.
 */
import { createApiClient } from "../client/client.ts";
import { usage, type ClientOptions, type Outcome } from "../command.ts";
import { say, type Io } from "../io.ts";
import { count, text, type Item, type Report } from "./columns.ts";

export interface ExplainOptions extends ClientOptions {
  readonly license?: string;
  readonly department?: string;
  readonly rollup?: true;
  readonly asOf?: string;
  readonly format?: "table" | "json" | "csv";
  readonly json?: true;
}

/** A position's installations; printed like any report. */
export function positionExplained(license: string): Report {
  return {
    path: `/api/v1/positions/${encodeURIComponent(license)}/explain`,
    pageSize: 1000,
    columns: [
      text("device"),
      text("employee"),
      text("department"),
      text("license", "installed licence"),
      count("used"),
      count("installed"),
      text("countsAs", "counts as"),
      text("entitlements"),
      text("because"),
    ],
  };
}

interface DeviceExplained {
  readonly device: string;
  readonly license: string;
  readonly name: string;
  readonly installed: boolean;
  readonly because: string;
  readonly since?: string;
  readonly rule?: {
    readonly text: string | null;
    readonly place: string | null;
    readonly codes: readonly string[];
    readonly evidence: readonly Item[];
  };
  readonly units?: {
    readonly units: number;
    readonly metric: string;
    readonly steps?: readonly { readonly says: string; readonly value: string }[];
  };
  readonly classification?: { readonly class: string; readonly by: string };
  readonly countsFor?: { readonly department: string; readonly employee?: string; readonly because: string };
  readonly coverage?: {
    readonly covered: boolean;
    readonly because: string;
    readonly countsAs?: string;
    readonly entitlements?: readonly string[];
  };
  readonly notMatched: readonly { readonly rule: string; readonly place: string; readonly because: string }[];
}

export async function explainDevice(
  device: string,
  license: string,
  options: ExplainOptions,
  io: Io,
): Promise<Outcome> {
  if (options.format === "csv")
    return usage("report explain", "csv is for --license: a device's explanation is no list");
  const client = await createApiClient(options);
  const path = `/api/v1/devices/${encodeURIComponent(device)}/licenses/${encodeURIComponent(license)}/explain`;
  const { body } = await client.get(path);
  if (options.json === true || options.format === "json") await say(io.out, JSON.stringify(body, undefined, 2));
  else for (const line of linesOf(body as DeviceExplained)) await say(io.out, line);
  return 0;
}

function* linesOf(told: DeviceExplained): Generator<string> {
  yield `${told.device} ${told.installed ? "has" : "does not have"} ${told.license} (${told.name}): ${told.because}`;
  for (const { rule, place, because } of told.notMatched) yield `  not by ${rule} (${place}): ${because}`;
  for (const evidence of told.rule?.evidence ?? []) yield `  evidence: ${evidenceText(evidence)}`;
  if (told.since !== undefined) yield `  since ${told.since}`;
  if (told.units !== undefined) {
    yield `  counts ${told.units.units} by ${told.units.metric}`;
    for (const { says, value } of told.units.steps ?? []) yield `    ${value}: ${says}`;
  }
  if (told.classification !== undefined) yield `  ${told.classification.class}, decided by ${told.classification.by}`;
  if (told.countsFor !== undefined) {
    const { department, employee, because } = told.countsFor;
    yield `  for ${department}${employee === undefined ? "" : ` (${employee})`}: ${because}`;
  }
  if (told.coverage !== undefined) {
    const { covered, because, countsAs, entitlements = [] } = told.coverage;
    const by = entitlements.length === 0 ? "" : ` by entitlement ${entitlements.join(", ")}`;
    yield `  ${covered ? `covered${by}` : "not covered"}: ${because}${covered && countsAs !== undefined && countsAs !== told.license ? `; counts as ${countsAs}` : ""}`;
  }
}

function evidenceText(evidence: Item): string {
  return Object.entries(evidence)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(", ");
}
