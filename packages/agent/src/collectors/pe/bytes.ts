/**
 * Purpose: reading a few places of a big file, for headers of programs. The file may be hostile or truncated.
 * Invariants: a read is whole or a Fault; nobody reads more than `maxRead` at once; numbers come from inside the bytes read.
 */
import { fstatSync, readSync } from "node:fs";
import { Fault } from "../findings.ts";

export interface FileBytes {
  readonly size: number;
  /** Exactly `length` bytes from `offset`; a Fault beyond the end of the file. */
  read(offset: number, length: number): Buffer;
}

export const maxRead = 1024 * 1024;

export function bytesOfFile(fd: number): FileBytes {
  const { size } = fstatSync(fd);
  return bytesOf(size, (target, offset) => {
    for (let done = 0; done < target.length;) {
      const count = readSync(fd, target, done, target.length - done, offset + done);
      if (count === 0) throw new Fault("malformed", "the file became shorter while it was read");
      done += count;
    }
  });
}

export function bytesOfBuffer(content: Buffer): FileBytes {
  return bytesOf(content.length, (target, offset) => void content.copy(target, 0, offset));
}

function bytesOf(size: number, fill: (target: Buffer, offset: number) => void): FileBytes {
  return {
    size,
    read(offset, length) {
      if (offset < 0 || length < 0 || offset + length > size)
        throw new Fault("malformed", "refers beyond the end of the file");
      if (length > maxRead) throw new Fault("too-large", `a part of ${length} bytes is not read`);
      const target = Buffer.alloc(length);
      fill(target, offset);
      return target;
    },
  };
}
