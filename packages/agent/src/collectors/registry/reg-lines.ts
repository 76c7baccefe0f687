/**
 * Purpose: the bytes of a `.reg` file as numbered lines. UTF-16 (with a mark, or recognised by its zero bytes) and UTF-8.
 * Invariants: chunks may be cut anywhere; memory is bounded by one line of at most `maxLine`. Bytes that are not text in the file's
 * encoding cost their line and are a fault with its number - most likely the file was saved in an old code page (Shift_JIS,
 * Windows-1252), which cannot be told for certain and is therefore not guessed.
 */
import { isUtf8 } from "node:buffer";

export interface LineHandler {
  /** `text` is without its line end. */
  line(text: string, number: number): void;
  /** The line is lost; `opening` is its first character, where that can be told. */
  fault(number: number, message: string, opening: string): void;
}

export interface LineReader {
  write(bytes: Uint8Array): void;
  end(): void;
}

export const maxLine = 4 * 1024 * 1024;
const lineFeed = 0x0a;

export function createLineReader(handler: LineHandler): LineReader {
  let start: Buffer = Buffer.alloc(0);
  let reader: LineReader | undefined;
  const open = (): LineReader => {
    const { encoding, markLength } = detect(start);
    const made = encoding === "utf-8" ? utf8Lines(handler) : utf16Lines(encoding, handler);
    made.write(start.subarray(markLength));
    return made;
  };
  return {
    write(bytes) {
      if (reader !== undefined) return reader.write(bytes);
      start = Buffer.concat([start, bytes]);
      if (start.length >= 4) reader = open();
    },
    end: () => (reader ?? open()).end(),
  };
}

function detect(start: Buffer): { encoding: "utf-8" | "utf-16le" | "utf-16be"; markLength: number } {
  const [a, b, c] = start;
  if (a === 0xff && b === 0xfe) return { encoding: "utf-16le", markLength: 2 };
  if (a === 0xfe && b === 0xff) return { encoding: "utf-16be", markLength: 2 };
  if (a === 0xef && b === 0xbb && c === 0xbf) return { encoding: "utf-8", markLength: 3 };
  if (b === 0 && a !== 0) return { encoding: "utf-16le", markLength: 0 };
  return { encoding: "utf-8", markLength: 0 };
}

/** Hands on numbered lines; a line that was too long is skipped to its end. */
function numbering(handler: LineHandler): {
  emit(text: string): void;
  bad(message: string, opening: string): void;
  tooLong(opening: string): void;
} {
  let number = 0;
  let skipping = false;
  const next = (): boolean => {
    number++;
    const skip = skipping;
    skipping = false;
    return !skip;
  };
  return {
    emit(text) {
      if (next()) handler.line(text.endsWith("\r") ? text.slice(0, -1) : text, number);
    },
    bad(message, opening) {
      if (next()) handler.fault(number, message, opening);
    },
    tooLong(opening) {
      if (!skipping)
        handler.fault(number + 1, `the line is longer than ${maxLine} characters; it was left out`, opening);
      skipping = true;
    },
  };
}

function utf16Lines(encoding: "utf-16le" | "utf-16be", handler: LineHandler): LineReader {
  const decoder = new TextDecoder(encoding, { ignoreBOM: true });
  const lines = numbering(handler);
  let rest = "";
  let odd = false;
  const take = (text: string): void => {
    let from = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", from)) {
      lines.emit(rest + text.slice(from, end));
      rest = "";
      from = end + 1;
    }
    rest += text.slice(from);
    if (rest.length > maxLine) {
      lines.tooLong(rest.charAt(0));
      rest = "";
    }
  };
  return {
    write(bytes) {
      if (bytes.length % 2 === 1) odd = !odd;
      take(decoder.decode(bytes, { stream: true }));
    },
    end() {
      if (odd) return lines.bad("the file breaks off in the middle of a character", rest.charAt(0));
      take(decoder.decode());
      if (rest !== "") lines.emit(rest);
    },
  };
}

function utf8Lines(handler: LineHandler): LineReader {
  const lines = numbering(handler);
  let rest: Buffer = Buffer.alloc(0);
  const takeLine = (line: Buffer): void => {
    if (isUtf8(line)) lines.emit(line.toString("utf8"));
    else
      lines.bad(
        "the bytes are not UTF-8; was the file saved in another code page (Shift_JIS, Windows-1252)?",
        line.toString("latin1", 0, 1),
      );
  };
  const take = (block: Buffer): void => {
    if (isUtf8(block)) {
      for (const line of block.toString("utf8").split("\n")) lines.emit(line);
      return;
    }
    let from = 0;
    for (let end = block.indexOf(lineFeed); end !== -1; end = block.indexOf(lineFeed, from)) {
      takeLine(block.subarray(from, end));
      from = end + 1;
    }
    takeLine(block.subarray(from));
  };
  return {
    write(bytes) {
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const end = chunk.lastIndexOf(lineFeed);
      if (end !== -1) {
        take(Buffer.concat([rest, chunk.subarray(0, end)]));
        rest = Buffer.from(chunk.subarray(end + 1));
      } else {
        rest = Buffer.concat([rest, chunk]);
      }
      if (rest.length > maxLine) {
        lines.tooLong(rest.toString("latin1", 0, 1));
        rest = Buffer.alloc(0);
      }
    },
    end() {
      if (rest.length > 0) takeLine(rest);
    },
  };
}
