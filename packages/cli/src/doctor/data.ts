/**
 * Purpose: the checks of an agent's or relay's data directory. The spool is opened as a start would open it - a torn end is cut off -
 * unless its node is running.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isDaichoError, silentLog } from "@daicho/kernel";
import { verifyDocument, type TrustRoot } from "@daicho/protocol";
import { openSpool } from "@daicho/spool";
import { openIdentity } from "@daicho/uplink";
import { attempt, Finding, type Check } from "./check.ts";

export async function* checkData(dir: string): AsyncGenerator<Check> {
  // A relay keeps its identity in a directory of its own.
  const identityDir = (await exists(join(dir, "identity"))) ? join(dir, "identity") : dir;
  let root: TrustRoot | undefined;
  yield await attempt("identity", dir, async () => {
    if (!(await exists(join(identityDir, "identity.json")))) throw new Finding("holds no agent's or relay's data");
    const { id, enrollment } = await openIdentity({ dir: identityDir });
    root = enrollment?.root;
    if (enrollment === undefined) throw new Finding(`${id} is not enrolled; give its configuration an enrolment token`);
    return `${id}, enrolled with ${enrollment.root.company}`;
  });
  if (root !== undefined) yield await checkDictionary(dir, root);
  if (await exists(join(dir, "spool"))) yield await checkSpool(join(dir, "spool"));
}

function checkDictionary(dir: string, root: TrustRoot): Promise<Check> {
  return attempt("signatures", dir, async () => {
    const file = join(dir, "dictionary.json");
    if (!(await exists(file))) return "no dictionary yet";
    const verified = verifyDocument(await documentIn(file), "dictionary/v1", root);
    if (!verified.ok)
      throw new Finding(
        `the dictionary does not verify under the pinned root (${verified.refusal}); it is fetched again`,
      );
    return `dictionary version ${String((verified.payload as { version?: unknown }).version)} verifies under the pinned root`;
  });
}

function checkSpool(dir: string): Promise<Check> {
  return attempt("spool", dir, async () => {
    try {
      const spool = await openSpool({ dir, maxBytes: Number.MAX_SAFE_INTEGER, log: silentLog });
      const { records, bytes, oldestAt, damagedPlaces, damagedBytes } = spool.stats();
      await spool.close();
      if (damagedPlaces > 0)
        throw new Finding(
          `${damagedPlaces} damaged places of ${damagedBytes} bytes were stepped over; senders repair what was in them`,
        );
      const since = oldestAt === undefined ? "" : `, the oldest since ${new Date(oldestAt).toISOString()}`;
      return `${records} reports wait, ${bytes} bytes${since}`;
    } catch (error) {
      if (!isDaichoError(error, "spool-locked")) throw error;
      return `in use by process ${String(error.details["pid"])}`;
    }
  });
}

async function documentIn(file: string): Promise<unknown> {
  try {
    return (JSON.parse(await readFile(file, "utf8")) as { document?: unknown } | null)?.document;
  } catch {
    return undefined;
  }
}

/** What may not be looked at counts as there: whoever reads it then says so. */
async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    ({ code }: NodeJS.ErrnoException) => code !== "ENOENT" && code !== "ENOTDIR",
  );
}
