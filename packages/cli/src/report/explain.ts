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
    head: (page) => [...sumsOf(page as Item & PositionExplained)],
    columns: [
      text("device"),
      text("employee"),
      text("department"),
      text("license", "installed licence"),
      count("used"),
      count("installed"),
      text("class"),
      count("units"),
      count("coveredUnits", "covered units"),
      text("countsAs", "counts as"),
      text("entitlements"),
      text("because"),
    ],
  };
}

interface PositionExplained {
  readonly license: string;
  readonly name: string;
  readonly metric: string;
  readonly at: string;
  readonly department?: string;
  readonly totals: Readonly<Record<string, number>> & {
    readonly unmanaged: Readonly<Record<string, number>>;
    readonly because: Readonly<Record<string, string>>;
  };
  readonly entitlements: readonly (Item & {
    readonly id: string;
    readonly license: string;
    readonly quantity: number;
    readonly units: number;
    readonly held: number;
    readonly used: number;
    readonly validity: string;
  })[];
  readonly allocations: readonly (Item & { readonly quantity: number; readonly inUse: number })[];
  readonly departments: readonly { readonly department: string; readonly rights: number; readonly requested: number }[];
}

/** Each number of the position, and what it is made of. */
function* sumsOf(told: PositionExplained): Generator<string> {
  const { totals, entitlements, allocations, departments } = told;
  const { because, unmanaged } = totals;
  const scope = told.department === undefined ? "" : ` of ${told.department}`;
  yield `${told.license} (${told.name})${scope} by ${told.metric}, at ${told.at}`;
  yield `  used ${totals["used"]}, installed ${totals["installed"]}: the sums of these columns below`;
  for (const [name, counted] of Object.entries(unmanaged))
    if (counted !== 0) yield `  ${name} ${counted}: not managed, the items of that class below`;
  yield `  held ${totals["held"]}: the sum of what each entitlement adds`;
  for (const one of entitlements)
    yield `    +${one.held}: ${[
      `entitlement ${one.id}`,
      ...(one.license === told.license ? [] : [`of ${one.license}`]),
      `${one.units} units, ${one.used} in use`,
      one.validity === "valid" ? "valid" : `${one.validity}: worth 0`,
      ...["startsAt", "expiresAt", "rights", "contract", "order"].flatMap((field) =>
        one[field] === undefined ? [] : [`${field} ${String(one[field])}`],
      ),
    ].join(", ")}`;
  yield `  rights ${totals["rights"]}, requested ${totals["requested"]}, required ${totals["required"]}: the sums over departments`;
  for (const { department, rights, requested } of departments)
    if (rights !== 0 || requested !== 0) yield `    ${department}: rights ${rights}, requested ${requested}`;
  for (const name of ["overUnder", "idle", "notAllocatedInUse"])
    if (because[name] !== undefined) yield `  ${name} ${totals[name]}: ${because[name]}`;
  if (allocations.length === 0) return;
  yield `  allocatedInUse ${totals["allocatedInUse"]}, allocatedNotInUse ${totals["allocatedNotInUse"]}: the sums over allocations`;
  for (const one of allocations)
    yield `    ${one.inUse} of ${one.quantity} in use: ${evidenceText({ allocation: one["id"], device: one["device"], employee: one["employee"] })}`;
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
  readonly classification?: { readonly class: string; readonly by: string; readonly because: string };
  readonly countsFor?: { readonly department: string; readonly employee?: string; readonly because: string };
  readonly coverage?: {
    readonly covered: boolean;
    readonly coveredUnits: number;
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
  if (told.classification !== undefined) yield `  ${told.classification.class}: ${told.classification.because}`;
  if (told.countsFor !== undefined) {
    const { department, employee, because } = told.countsFor;
    yield `  for ${department}${employee === undefined ? "" : ` (${employee})`}: ${because}`;
  }
  if (told.coverage !== undefined) {
    const { covered, coveredUnits, because, countsAs, entitlements = [] } = told.coverage;
    const by = entitlements.length === 0 ? "" : ` by entitlement ${entitlements.join(", ")}`;
    const words = covered ? `covered${by}` : coveredUnits > 0 ? `covered in part${by}` : "not covered";
    yield `  ${words}: ${because}${covered && countsAs !== undefined && countsAs !== told.license ? `; counts as ${countsAs}` : ""}`;
  }
}

function evidenceText(evidence: Item): string {
  return Object.entries(evidence)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(", ");
}
