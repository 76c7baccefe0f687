/**
 * Purpose: the bytes of a file as text: UTF-8 (a byte order mark is dropped), Shift_JIS or GB18030 by name.
 * Invariants: bytes that are not of the encoding are a fault with their line, never replaced silently; a file is decoded in pieces cut at line ends -
 * the byte of a line end is part of no other character in any of the three - with a breath after each.
 */
import iconv from "iconv-lite";
import { breathe } from "../../slices.ts";

export const encodings = ["utf-8", "shift_jis", "gb18030"] as const;
export type Encoding = (typeof encodings)[number];

/** The encoding meant by a name such as `Shift_JIS`, `sjis`, `UTF8`; undefined where it is none of ours. */
export function encodingOf(name: string): Encoding | undefined {
  const known: Readonly<Record<string, Encoding>> = {
    utf8: "utf-8",
    shiftjis: "shift_jis",
    sjis: "shift_jis",
    cp932: "shift_jis",
    ms932: "shift_jis",
    windows31j: "shift_jis",
    gb18030: "gb18030",
    gbk: "gb18030",
    gb2312: "gb18030",
    cp936: "gb18030",
  };
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, "");
  return Object.hasOwn(known, plain) ? known[plain] : undefined;
}

export type Decoded =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly lines: readonly number[] };

const pieceBytes = 256 * 1024;
const maxLines = 100;

/** The text, or the lines (at most 100) whose bytes are not of the encoding. */
export async function decodeText(bytes: Buffer, encoding: Encoding): Promise<Decoded> {
  const decode = decoderOf(encoding);
  const texts: string[] = [];
  const wrong: number[] = [];
  let line = 1;
  for (let at = 0; at < bytes.length && wrong.length < maxLines;) {
    const cut = bytes.indexOf(0x0a, at + pieceBytes);
    const end = cut === -1 ? bytes.length : cut + 1;
    const piece = bytes.subarray(at, end);
    const text = decode(piece);
    if (text !== undefined) texts.push(text);
    else wrong.push(...wrongLines(piece, line, decode, maxLines - wrong.length));
    for (let i = piece.indexOf(0x0a); i !== -1; i = piece.indexOf(0x0a, i + 1)) line++;
    at = end;
    await breathe();
  }
  if (wrong.length > 0) return { ok: false, lines: wrong };
  const text = texts.join("");
  return { ok: true, text: text.startsWith("\ufeff") ? text.slice(1) : text };
}

/** Text of a piece, or undefined where its bytes are not of the encoding. */
function decoderOf(encoding: Encoding): (piece: Buffer) => string | undefined {
  if (encoding === "utf-8") {
    const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return (piece) => {
      try {
        return utf8.decode(piece);
      } catch {
        return undefined;
      }
    };
  }
  return (piece) => {
    const text = iconv.decode(piece, encoding, { stripBOM: false });
    return text.includes("\ufffd") ? undefined : text;
  };
}

function wrongLines(
  piece: Buffer,
  first: number,
  decode: (piece: Buffer) => string | undefined,
  most: number,
): number[] {
  const wrong: number[] = [];
  for (let at = 0, line = first; at < piece.length && wrong.length < most; line++) {
    const cut = piece.indexOf(0x0a, at);
    const end = cut === -1 ? piece.length : cut + 1;
    if (decode(piece.subarray(at, end)) === undefined) wrong.push(line);
    at = end;
  }
  return wrong;
}
