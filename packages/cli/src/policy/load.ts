/** Purpose: policy files from the command line to checked policies, and their faults as lines. */
import { loadPolicies, type LoadedPolicies, type ParsedPolicy, type PolicyFault } from "@daicho/policy";
import { readBytes } from "../files/read.ts";
import { say, type Io } from "../io.ts";
import { harmless } from "../output/width.ts";

const largestPolicy = 64 * 1024 * 1024;

/** @throws file-unreadable */
export async function loadPolicyFiles(files: readonly string[]): Promise<LoadedPolicies> {
  const texts = [];
  for (const file of files) texts.push({ file, text: await readBytes(file, largestPolicy) });
  return loadPolicies(texts);
}

/** The policies, or undefined after their faults have been printed. */
export async function soundPolicies(files: readonly string[], io: Io): Promise<readonly ParsedPolicy[] | undefined> {
  const { policies, faults } = await loadPolicyFiles(files);
  for (const fault of faults) await say(io.err, faultLine(fault));
  return policies;
}

export function faultLine({ file, line, column, message, code }: PolicyFault): string {
  return harmless(`${file}:${line}:${column}: ${message.replace(/\s*\n\s*/g, " ")} [${code}]`);
}
