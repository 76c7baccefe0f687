/**
 * Purpose: `daicho org preview | apply`: organisation changes from a file, and what they do as tables. The server does the work; nothing is counted
 * here.
 */
import { createApiClient } from "../client/client.ts";
import type { Outcome } from "../command.ts";
import type { OrgOptions } from "../commands/org.ts";
import { cliErrors } from "../errors.ts";
import { readText } from "../files/read.ts";
import { say, type Io } from "../io.ts";
import { tableLines, type Cell, type Column } from "../output/table.ts";

interface BeforeAfter {
  readonly before: number;
  readonly after: number;
}
interface Result {
  readonly departments: readonly { department: string; change: string; formerly?: string; into?: string }[];
  readonly employees: readonly { employee: string; change: string; from?: string; to?: string; devices: number }[];
  readonly positions: readonly {
    department: string;
    license: string;
    used: BeforeAfter;
    rights: BeforeAfter;
    required: BeforeAfter;
    requested: BeforeAfter;
  }[];
  /** A server of an earlier version tells neither. */
  readonly applications?: readonly { application: string; from: string; to: string }[];
  readonly allocations?: readonly { employee: string; license: string; quantity: number }[];
  readonly handOvers: readonly { device: string; employee: string; department: string }[];
  readonly warnings: readonly { path: string; message: string }[];
}
interface Answer {
  readonly id?: string;
  readonly state?: string;
  readonly effectiveOn?: string;
  readonly result?: Result;
}

/** People are named as far as one looks at them; `--json` has all. */
const shown = 50;
const text = (title: string): Column => ({ title });
const count = (title: string): Column => ({ title, align: "right" });

export async function changeOrganisation(
  kind: "preview" | "apply",
  file: string,
  options: OrgOptions,
  io: Io,
): Promise<Outcome> {
  const client = await createApiClient(options);
  const request = await requestOf(file);
  const bytes = JSON.stringify(kind === "preview" ? { ...request, dryRun: true } : { ...request, dryRun: false });
  const { body } = await client.send("POST", "/api/v1/org-changes", { type: "application/json", bytes });
  const answer = body as Answer | undefined;
  if (answer?.result === undefined)
    throw cliErrors.make("answer-invalid", { server: client.server, reason: "no organisation change" });
  if (options.json === true) await say(io.out, JSON.stringify(answer, undefined, 2));
  else await print(kind, answer, answer.result, io);
  return 0;
}

/** @throws file-unreadable, file-invalid */
async function requestOf(file: string): Promise<object> {
  const expected = 'a JSON object such as { "changes": [ { "type": "move", "employee": "E1", "to": "D1" } ] }';
  let value: unknown;
  try {
    value = JSON.parse(await readText(file));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw cliErrors.make("file-invalid", { file, reason: error.message, expected }, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw cliErrors.make("file-invalid", { file, reason: "is no JSON object", expected });
  return value;
}

async function print(kind: "preview" | "apply", answer: Answer, result: Result, io: Io): Promise<void> {
  const when = answer.effectiveOn === undefined ? "" : ` for ${answer.effectiveOn}`;
  await say(
    io.out,
    kind === "preview" ? `Preview${when}; nothing was kept.` : `${answer.id ?? ""}: ${answer.state ?? ""}${when}`,
  );
  const parts: readonly (readonly [title: string, columns: readonly Column[], rows: readonly (readonly Cell[])[]])[] = [
    [
      "Departments",
      [text("department"), text("change"), text("formerly"), text("into")],
      result.departments.map((d) => [d.department, d.change, d.formerly, d.into]),
    ],
    [
      "People",
      [text("employee"), text("change"), text("from"), text("to"), count("devices")],
      result.employees.map((e) => [e.employee, e.change, e.from, e.to, e.devices]),
    ],
    [
      "Numbers that change",
      [
        ...[text("department"), text("license"), count("used"), count("then"), count("rights"), count("then")],
        ...[count("required"), count("then"), count("requested"), count("then")],
      ],
      result.positions.map((p) => [
        ...[p.department, p.license, p.used.before, p.used.after, p.rights.before, p.rights.after],
        ...[p.required.before, p.required.after, p.requested.before, p.requested.after],
      ]),
    ],
    [
      "Applications that go along",
      [text("application"), text("from"), text("to")],
      (result.applications ?? []).map((a) => [a.application, a.from, a.to]),
    ],
    [
      "Allocations that end",
      [text("of"), text("license"), count("quantity")],
      (result.allocations ?? []).map((a) => [a.employee, a.license, a.quantity]),
    ],
    [
      "To hand over",
      [text("device"), text("of"), text("department")],
      result.handOvers.map((h) => [h.device, h.employee, h.department]),
    ],
  ];
  for (const [title, columns, rows] of parts) {
    if (rows.length === 0) continue;
    await say(io.out, `\n${title}: ${rows.length}`);
    for (const line of tableLines(columns, rows.slice(0, shown))) await say(io.out, line);
    if (rows.length > shown) await say(io.out, `… and ${rows.length - shown} more; --json has them all`);
  }
  for (const { path, message } of result.warnings) await say(io.err, `warning: ${path}: ${message}`);
}
