/** Purpose: `daicho import departments | employees | …`: the file as it is to the server, whose faults come back with their places. */
import { createApiClient, Refused } from "../client/client.ts";
import type { ClientOptions, Outcome } from "../command.ts";
import { readBytes } from "../files/read.ts";
import { say, type Io } from "../io.ts";
import { harmless } from "../output/width.ts";

interface PlacedFault {
  readonly line?: unknown;
  readonly column?: unknown;
  readonly code?: unknown;
  readonly path?: unknown;
  readonly message?: unknown;
}

export async function importCsv(
  kind: string,
  file: string,
  options: ClientOptions & { readonly dryRun?: true; readonly encoding: string; readonly json?: true },
  io: Io,
): Promise<Outcome> {
  const client = await createApiClient(options);
  const bytes = await readBytes(file);
  const query = { encoding: options.encoding, ...(options.dryRun === true && { dryRun: "true" }) };
  try {
    const { body } = await client.send("POST", `/api/v1/imports/${kind}`, { type: "text/csv", bytes }, query);
    for (const warning of (body as { warnings?: readonly PlacedFault[] }).warnings ?? [])
      await say(io.err, harmless(`${faultLine(file, warning)} (taken in all the same)`));
    await say(
      io.out,
      options.json === true ? JSON.stringify(body, undefined, 2) : wordsOf(file, body, options.dryRun === true),
    );
    return 0;
  } catch (error) {
    const faults: readonly PlacedFault[] = error instanceof Refused ? (error.problem.faults ?? []) : [];
    if (faults.length === 0) throw error;
    if (options.json === true) await say(io.out, JSON.stringify({ file, faults }, undefined, 2));
    else {
      for (const fault of faults) await say(io.err, harmless(faultLine(file, fault)));
      if (faults.some(({ code }) => code === "bytes-undecodable"))
        await say(io.err, `${file}: say with --encoding what it is written in: utf-8, shift_jis or gb18030.`);
      await say(io.err, `${file}: nothing was taken in; correct these places and send it again.`);
    }
    return 1;
  }
}

function faultLine(file: string, { line, column, code, path, message }: PlacedFault): string {
  const place = [file, ...(line === undefined ? [] : [String(line)])].join(":");
  const where = column ?? (line === undefined ? path : undefined);
  return `${place}: ${where === undefined || where === "" ? "" : `${String(where)}: `}${String(message)}${code === undefined ? "" : ` [${String(code)}]`}`;
}

/** The counts that the server answers, whatever they are called. */
function wordsOf(file: string, body: unknown, dryRun: boolean): string {
  const counts = Object.entries((body ?? {}) as Record<string, unknown>)
    .filter((entry): entry is [string, number] => typeof entry[1] === "number")
    .map(([name, count]) => `${count} ${name}`);
  return `${file}: ${counts.join(", ") || "taken in"}${dryRun ? " (dry run: nothing was changed)" : ""}`;
}
