/**
 * Purpose: what makes two found titles the same title, and its 8-byte name on the wire.
 * A title is identified by what it is (source, name, version, publisher, arch, identifier), not by facts about one copy of it
 * (path, install date, size). On the wire it is the first 8 bytes of SHA-256 over the canonical line; the text travels
 * only to a server that does not know it yet. A receiver of texts always recomputes the hash: a wrong pair is refused.
 */
import { sha256 } from "./canonical.ts";
import type { Title } from "./inventory.ts";

/** [source, name, version, publisher, arch, identifier]; `null` = the source did not say. */
export type TitleText = readonly [string, string, string, string | null, string | null, string | null];

export type TitleIdentity = Pick<Title, "source" | "name" | "version" | "publisher" | "arch" | "identifier">;

export const titleHashBytes = 8;

export function titleText(title: TitleIdentity): TitleText {
  return [
    title.source,
    title.name,
    title.version,
    title.publisher ?? null,
    title.arch ?? null,
    title.identifier ?? null,
  ];
}

export function titleFromText(text: TitleText): TitleIdentity {
  const [source, name, version, publisher, arch, identifier] = text;
  return {
    source,
    name,
    version,
    ...(publisher !== null && { publisher }),
    ...(arch !== null && { arch }),
    ...(identifier !== null && { identifier }),
  };
}

export function hashTitle(text: TitleText): Buffer {
  return sha256(JSON.stringify(text)).subarray(0, titleHashBytes);
}

/** Sorts 8-byte hashes as unsigned numbers and drops repeats; answers one buffer. */
export function packHashes(hashes: readonly Uint8Array[]): Buffer {
  const sorted = hashes.map((h) => Buffer.from(h.buffer, h.byteOffset, titleHashBytes)).sort(Buffer.compare);
  const unique = sorted.filter((h, i) => i === 0 || !h.equals(sorted[i - 1] as Buffer));
  return Buffer.concat(unique);
}

export function isPackedHashes(packed: Uint8Array): boolean {
  if (packed.length % titleHashBytes !== 0) return false;
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  let high = -1;
  let low = -1;
  for (let at = 0; at < packed.length; at += titleHashBytes) {
    const nextHigh = view.getUint32(at);
    const nextLow = view.getUint32(at + 4);
    if (nextHigh < high || (nextHigh === high && nextLow <= low)) return false;
    high = nextHigh;
    low = nextLow;
  }
  return true;
}

export function* eachHash(packed: Uint8Array): Generator<Buffer> {
  const buffer = Buffer.from(packed.buffer, packed.byteOffset, packed.length);
  for (let at = 0; at + titleHashBytes <= buffer.length; at += titleHashBytes)
    yield buffer.subarray(at, at + titleHashBytes);
}
