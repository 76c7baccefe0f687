/** Purpose: `daicho agent scan`: one scan, no server; the inventory as JSON. */
import { scan } from "@daicho/agent";
import { validateDictionary, validateSignedDocument, type Dictionary, type Inventory } from "@daicho/protocol";
import type { Outcome } from "../command.ts";
import { cliErrors } from "../errors.ts";
import { readJson } from "../files/read.ts";
import { writeWhole } from "../files/write.ts";
import { say, type Io } from "../io.ts";

export async function scanOnce(
  options: {
    readonly root?: string;
    readonly registry: readonly string[];
    readonly dictionary?: string;
    readonly out?: string;
  },
  io: Io,
): Promise<Outcome> {
  await checkPlaces(options);
  const dictionary = options.dictionary === undefined ? undefined : await readDictionary(options.dictionary);
  const { inventory } = await scan({
    ...(options.root !== undefined && { root: options.root }),
    ...(options.registry.length > 0 && { registryFiles: options.registry }),
    ...(dictionary && { dictionary }),
  });
  const text = `${JSON.stringify(inventory, undefined, 2)}\n`;
  if (options.out === undefined) await io.out.write(text);
  else {
    await writeWhole(options.out, text);
    await say(io.err, summaryOf(options.out, inventory));
  }
  return 0;
}

/** A wrong path on the command line is a mistake to be named; only what lies below it is a matter for `scan.errors`. */
async function checkPlaces(options: { readonly root?: string; readonly registry: readonly string[] }): Promise<void> {
  const { stat } = await import("node:fs/promises");
  for (const [file, kind] of [
    ...(options.root === undefined ? [] : [[options.root, "directory"] as const]),
    ...options.registry.map((file) => [file, "file"] as const),
  ]) {
    const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
      throw cliErrors.make("file-unreadable", { file, reason: error.code ?? "unknown" });
    });
    if (kind === "directory" && !found.isDirectory())
      throw cliErrors.make("file-unreadable", { file, reason: "not a directory" });
    if (kind === "file" && found.isDirectory())
      throw cliErrors.make("file-unreadable", { file, reason: "a directory" });
  }
}

/** A dictionary as `policy build` writes it, or the signed document around one. */
async function readDictionary(file: string): Promise<Dictionary> {
  const expected = "dictionary.json of `daicho policy build`, or a signed dictionary";
  const value = await readJson(file, expected);
  const signed = validateSignedDocument(value);
  const checked = validateDictionary(signed.ok ? payloadOf(signed.value.payload) : value);
  if (checked.ok) return checked.value;
  const [fault] = checked.faults;
  throw cliErrors.make("file-invalid", {
    file,
    reason: `${fault?.path ?? ""} ${fault?.message ?? "is not valid"}`.trim(),
    expected,
  });
}

function payloadOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function summaryOf(file: string, inventory: Inventory): string {
  const errors = inventory.scan?.errors.length ?? 0;
  const codes = inventory.codes === undefined ? "" : `, ${inventory.codes.length} codes`;
  return `${file}: ${inventory.software.length} titles${codes}, ${errors} unreadable places, ${inventory.scan?.durationMs ?? 0} ms`;
}
