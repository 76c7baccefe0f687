/**
 * Purpose: the one form in which names compare: Unicode NFKC, then lower case. Full- and half-width forms and letter
 * case never decide whether software is recognised.
 */

import { foldName } from "@daicho/protocol";

export { foldName };

/** A file path: folded, with one kind of separator. */
export function foldPath(text: string): string {
  return foldName(text).replaceAll("\\", "/");
}

const hives: readonly (readonly [string, string])[] = [
  ["hkey_local_machine", "hklm"],
  ["hkey_current_user", "hkcu"],
  ["hkey_classes_root", "hkcr"],
  ["hkey_users", "hku"],
  ["hkey_current_config", "hkcc"],
];

/** A registry key: folded, `\` between its parts, the hive by its short name. */
export function foldRegistryKey(text: string): string {
  let key = foldName(text).replaceAll("/", "\\");
  while (key.includes("\\\\")) key = key.replaceAll("\\\\", "\\");
  if (key.startsWith("computer\\")) key = key.slice("computer\\".length);
  if (key.endsWith("\\")) key = key.slice(0, -1);
  for (const [long, short] of hives) {
    if (key === long || key.startsWith(`${long}\\`)) return short + key.slice(long.length);
  }
  return key;
}

/** The folded key behind its hive, or the key itself when it names none. */
export function withoutHive(foldedKey: string): string {
  for (const [, short] of hives) if (foldedKey.startsWith(`${short}\\`)) return foldedKey.slice(short.length + 1);
  return foldedKey;
}
