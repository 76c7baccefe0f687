/** Purpose: files named on the command line: read whole, bounded, with an error that names the file. */
import { readFile, stat } from "node:fs/promises";
import { cliErrors } from "../errors.ts";

const largest = 512 * 1024 * 1024;

/** @throws file-unreadable */
export async function readBytes(file: string, limit = largest): Promise<Buffer> {
  try {
    const { size } = await stat(file);
    if (size > limit) throw cliErrors.make("file-unreadable", { file, reason: `larger than ${limit} bytes` });
    return await readFile(file);
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** UTF-8, without its byte order mark. @throws file-unreadable, file-invalid */
export async function readText(file: string, limit?: number): Promise<string> {
  const bytes = await readBytes(file, limit);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw cliErrors.make("file-invalid", { file, reason: "is not UTF-8 text", expected: "a file in UTF-8" });
  }
}

/** @throws file-unreadable, file-invalid */
export async function readJson(file: string, expected: string): Promise<unknown> {
  const text = await readText(file);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw cliErrors.make("file-invalid", { file, reason: `is not JSON${placeOf(error, text)}`, expected });
  }
}

/** Where the parser stopped, as line and column; its message would quote the file. */
function placeOf(error: unknown, text: string): string {
  const position = /position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
  if (position === undefined) return "";
  const before = text.slice(0, Number(position)).split("\n");
  return ` at line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
}

function unreadable(file: string, error: unknown): Error {
  if (error instanceof Error && error.name === "DaichoError") return error;
  const reason = (error as NodeJS.ErrnoException).code ?? "unknown";
  return cliErrors.make("file-unreadable", { file, reason }, { cause: error });
}
