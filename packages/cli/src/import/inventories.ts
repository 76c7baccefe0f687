/**
 * Purpose: `daicho import inventory`: any number of files to the server, in batches bounded by bytes and by count.
 * Invariants: memory holds two batches, however many files there are; one bad file spoils neither its batch nor the others;
 * every file gets its result, in the order given.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DaichoError, oneLine } from "@daicho/kernel";
import { createApiClient, type ApiClient } from "../client/client.ts";
import type { ClientOptions, Outcome } from "../command.ts";
import { cliErrors } from "../errors.ts";
import { readJson } from "../files/read.ts";
import { say, type Io } from "../io.ts";
import { createProgress } from "../output/progress.ts";
import { harmless } from "../output/width.ts";

export interface FileResult {
  readonly file: string;
  readonly status: "stored" | "older" | "rejected";
  readonly device?: string;
  readonly faults?: readonly { readonly path: string; readonly message: string }[];
}

interface Batch {
  /** A result that is known without the server, or the file whose line is sent. */
  readonly files: (FileResult | string)[];
  readonly lines: string[];
  bytes: number;
}

export const batchLimits = { inventories: 100, bytes: 8 * 1024 * 1024 };

export async function importInventories(
  paths: readonly string[],
  options: ClientOptions & { readonly json?: true },
  io: Io,
): Promise<Outcome> {
  const client = await createApiClient(options);
  const progress = createProgress(io.err);
  const counts = { stored: 0, older: 0, rejected: 0 };
  const items: FileResult[] = [];
  let underWay: Promise<readonly FileResult[]> = Promise.resolve([]);
  const finish = async (): Promise<void> => {
    const results = await underWay;
    for (const result of results) {
      counts[result.status]++;
      if (options.json === true) items.push(result);
      else {
        progress.clear();
        await say(io.out, lineOf(result));
      }
    }
    progress.show(`${counts.stored + counts.older + counts.rejected} inventories`);
  };
  for await (const batch of batchesOf(filesOf(paths))) {
    await finish();
    underWay = sendBatch(client, batch);
    // Awaited a batch later; a failure meanwhile must not count as nobody's.
    underWay.catch(() => undefined);
  }
  await finish();
  progress.clear();
  if (options.json === true) await say(io.out, JSON.stringify({ items }, undefined, 2));
  await say(io.err, `${counts.stored} stored, ${counts.older} older than what is held, ${counts.rejected} rejected`);
  return counts.rejected === 0 ? 0 : 1;
}

/** Files as named, directories as the *.json below them. @throws file-unreadable */
export async function* filesOf(paths: readonly string[]): AsyncGenerator<string> {
  for (const path of paths) {
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      throw cliErrors.make("file-unreadable", { file: path, reason: error.code ?? "unknown" });
    });
    if (!found.isDirectory()) yield path;
    else {
      const entries = await readdir(path, { withFileTypes: true, recursive: true });
      const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".json"));
      yield* files.map((entry) => join(entry.parentPath, entry.name)).sort();
    }
  }
}

export async function* batchesOf(files: AsyncIterable<string>): AsyncGenerator<Batch> {
  let batch: Batch = { files: [], lines: [], bytes: 0 };
  for await (const file of files) {
    const line = await readLine(file);
    const bytes = typeof line === "string" ? Buffer.byteLength(line) : 0;
    if (batch.files.length >= batchLimits.inventories || (batch.bytes > 0 && batch.bytes + bytes > batchLimits.bytes)) {
      yield batch;
      batch = { files: [], lines: [], bytes: 0 };
    }
    if (typeof line === "string") batch.lines.push(line);
    batch.files.push(typeof line === "string" ? file : line);
    batch.bytes += bytes;
  }
  if (batch.files.length > 0) yield batch;
}

/** One line of JSON, or why there is none. */
async function readLine(file: string): Promise<string | FileResult> {
  try {
    return JSON.stringify(await readJson(file, "an inventory"));
  } catch (error) {
    if (!(error instanceof DaichoError)) throw error;
    return rejected(file, error.message.slice(file.length + 2));
  }
}

async function sendBatch(client: ApiClient, batch: Batch): Promise<readonly FileResult[]> {
  const answers = batch.lines.length === 0 ? [] : await send(client, batch.lines);
  let next = 0;
  return batch.files.map((file) => (typeof file === "string" ? { file, ...answers[next++]! } : file));
}

async function send(client: ApiClient, lines: readonly string[]): Promise<readonly Omit<FileResult, "file">[]> {
  try {
    const body = { type: "application/x-ndjson", bytes: `${lines.join("\n")}\n` };
    const answer = await client.send("POST", "/api/v1/imports/inventories", body);
    const items = (answer.body as { items?: readonly Omit<FileResult, "file">[] } | undefined)?.items;
    if (items?.length === lines.length) return items;
    throw cliErrors.make("answer-invalid", { server: client.server, reason: "not one result per inventory" });
  } catch (error) {
    // A single inventory that the server will not even read is this file's fault, not the end of the import.
    if (
      lines.length === 1 &&
      error instanceof DaichoError &&
      [400, 413].includes(error.status) &&
      error.code !== "usage"
    )
      return [{ status: "rejected", faults: [{ path: "", message: oneLine(error) }] }];
    if (error instanceof DaichoError && [400, 413].includes(error.status) && lines.length > 1) {
      const half = lines.length >> 1;
      return [...(await send(client, lines.slice(0, half))), ...(await send(client, lines.slice(half)))];
    }
    throw error;
  }
}

function rejected(file: string, message: string): FileResult {
  return { file, status: "rejected", faults: [{ path: "", message }] };
}

function lineOf({ file, status, device, faults }: FileResult): string {
  const why = (faults ?? []).map(({ path, message }) => (path === "" ? message : `${path} ${message}`)).join("; ");
  return harmless([status.padEnd(8), file, why === "" ? (device ?? "") : why].join("  ").trimEnd());
}
