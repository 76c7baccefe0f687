/** Purpose: a secret on the command line can be seen by every user of the machine; `@FILE` gives it without that. */
import { readText } from "./read.ts";

/** @throws file-unreadable */
export async function secretOption(text: string): Promise<string> {
  return text.startsWith("@") ? (await readText(text.slice(1), 64 * 1024)).trim() : text;
}
