/**
 * Purpose: flatpak's own record of a deployment, the file `deploy`: a GVariant of type (ssasta{sv}) - origin, commit, subpaths,
 * installed size (big-endian), and a dictionary that holds, among others, appdata-name and appdata-version.
 * Invariants: reads the size by the tuple's framing offsets and the two texts by their keys; any length field is checked against the
 * file before use.
 * On failure: gives what could be read; a record from before flatpak 1.0 has no dictionary and gives the size only.
 */
export interface Deploy {
  readonly name: string | undefined;
  readonly version: string | undefined;
  /** Bytes. */
  readonly size: number | undefined;
}

export function parseDeploy(bytes: Buffer): Deploy {
  return {
    name: textValue(bytes, "appdata-name"),
    version: textValue(bytes, "appdata-version"),
    size: installedSize(bytes),
  };
}

/** A dictionary entry {sv} is `key NUL`, padding to 8, `value NUL`, then `NUL s`: a variant's value is followed by its type. */
function textValue(bytes: Buffer, key: string): string | undefined {
  const at = bytes.indexOf(`${key}\0`, 0, "utf8");
  if (at === -1) return undefined;
  let start = at + key.length + 1;
  while (start < bytes.length && start < at + key.length + 9 && bytes[start] === 0) start++;
  const end = bytes.indexOf(0, start);
  if (end <= start || bytes[end + 1] !== 0 || bytes[end + 2] !== 0x73) return undefined;
  return bytes.toString("utf8", start, end);
}

/** Framing offsets stand at the very end, the last member's first; the size follows the third of them, aligned to 8. */
function installedSize(bytes: Buffer): number | undefined {
  const width = bytes.length <= 0xff ? 1 : bytes.length <= 0xffff ? 2 : 4;
  if (bytes.length < 3 * width) return undefined;
  const subpathsEnd = bytes.readUIntLE(bytes.length - 3 * width, width);
  const at = Math.ceil(subpathsEnd / 8) * 8;
  if (at + 8 > bytes.length) return undefined;
  const size = bytes.readBigUInt64BE(at);
  return size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(size) : undefined;
}
