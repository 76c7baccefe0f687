/**
 * Purpose: the scan as the resident's child process does it: request file in, answer file out. Files, because
 * pipes to a child fail under wine and an answer has megabytes.
 */
import { readFile } from "node:fs/promises";
import { compileDictionary } from "@daicho/policy";
import { writeFileAtomic } from "@daicho/uplink";
import { rescanProbes, scan } from "../recognise/index.ts";
import { readDictionaryFile } from "./dictionary.ts";
import type { ScanAnswer, ScanRequest } from "./scan-port.ts";

export async function runScanChild(requestFile: string, answerFile: string): Promise<void> {
  const request = JSON.parse(await readFile(requestFile, "utf8")) as ScanRequest;
  await writeFileAtomic(answerFile, JSON.stringify(await scanHere(request)));
}

/** The same in this very process. */
export async function scanHere(request: ScanRequest): Promise<ScanAnswer> {
  const { deviceId, walk } = request;
  const dictionary =
    request.dictionaryFile === undefined ? undefined : await readDictionaryFile(request.dictionaryFile);
  const machineProbes = compileDictionary(dictionary?.software ?? []).probes.filter((probe) => probe.kind !== "title");
  const options = { deviceId, walk, ...(dictionary !== undefined && { dictionary }) };
  const common = { probes: machineProbes.map((probe) => probe.text), dictionary: dictionary?.version ?? 0 };
  if (request.kind === "scan") {
    const { inventory, hits } = await scan(options);
    return { inventory, hits, errors: [], ...common };
  }
  const known = new Set(request.known);
  const fresh = machineProbes.filter((probe) => !known.has(probe.text));
  const answers = fresh.length === 0 ? { hits: [], errors: [] } : await rescanProbes(options, fresh);
  return { hits: answers.hits, errors: answers.errors, ...common };
}
