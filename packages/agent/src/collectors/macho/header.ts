/**
 * Purpose: the processor architectures of a Mach-O program, thin or universal, from its header alone.
 * Invariants: reads at most some hundred bytes; anything that is not plainly Mach-O is undefined, never a guess. Java classes share
 * the magic number of universal files: what would be the number of architectures is their version there, 45 or more.
 */
import type { FileBytes } from "../pe/bytes.ts";

const names: Readonly<Record<number, string>> = {
  0x00000007: "i386",
  0x01000007: "x86_64",
  0x0000000c: "arm",
  0x0100000c: "arm64",
  0x00000012: "ppc",
  0x01000012: "ppc64",
};
const maxArchitectures = 30;

/** `["arm64", "x86_64"]`, sorted; undefined: not Mach-O. */
export function readMachoArchitectures(file: FileBytes): string[] | undefined {
  if (file.size < 28) return undefined;
  const magic = file.read(0, 4).readUInt32BE(0);
  switch (magic) {
    case 0xfeedface:
    case 0xfeedfacf:
      return known([file.read(4, 4).readUInt32BE(0)]);
    case 0xcefaedfe:
    case 0xcffaedfe:
      return known([file.read(4, 4).readUInt32LE(0)]);
    case 0xcafebabe:
    case 0xcafebabf: {
      const count = file.read(4, 4).readUInt32BE(0);
      const size = magic === 0xcafebabe ? 20 : 32;
      if (count === 0 || count > maxArchitectures || 8 + count * size > file.size) return undefined;
      const table = file.read(8, count * size);
      return known(Array.from({ length: count }, (_, i) => table.readUInt32BE(i * size)));
    }
    default:
      return undefined;
  }
}

function known(types: readonly number[]): string[] {
  const found = types.map((type) => names[type]).filter((name) => name !== undefined);
  return [...new Set(found)].sort();
}
