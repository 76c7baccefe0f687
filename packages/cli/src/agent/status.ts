/** Purpose: `daicho agent status`. */
import { agentStatus } from "@daicho/agent";
import { inWords } from "@daicho/kernel";
import type { Outcome } from "../command.ts";
import { say, type Io } from "../io.ts";
import { tableLines } from "../output/table.ts";

export async function showAgentStatus(
  options: { readonly data: string; readonly json?: true },
  io: Io,
): Promise<Outcome> {
  const status = await agentStatus(options.data);
  if (options.json === true) {
    await say(io.out, JSON.stringify(status, undefined, 2));
    return 0;
  }
  const { spool, lastError, messages = [] } = status;
  const rows: [string, string | number | undefined][] = [
    ["device", status.device],
    ["host name", status.hostname],
    ["running", status.running ? `yes, process ${status.pid}` : "no"],
    ["enrolled", status.enrolled ? `with ${status.company ?? ""}` : "no"],
    ["upstream", status.upstream],
    ["connected", status.connected ? "yes" : "no"],
    ["dictionary", status.dictionary === 0 ? "none" : `version ${status.dictionary}`],
    ["titles", status.titles],
    ["last scan", status.lastScanAt],
    ["next scan", status.nextScanAt],
    ["last report taken", status.lastStoredAt],
    [
      "waiting",
      `${spool.records} reports, ${spool.bytes} bytes${spool.oldestAt === undefined ? "" : `, since ${spool.oldestAt}`}`,
    ],
    ["trouble", lastError === undefined ? "none" : `${inWords(lastError.code)} at ${lastError.at}`],
    // The text is a stranger's: one line of it, without what would steer a terminal.
    ...messages.map(({ text, at }): [string, string] => [`message of ${at}`, text.replace(/[\s\p{C}]+/gu, " ").trim()]),
  ];
  for (const line of tableLines([{ title: "agent" }, { title: status.at }], rows)) await say(io.out, line);
  return 0;
}
