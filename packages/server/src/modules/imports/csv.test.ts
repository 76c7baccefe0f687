import { stringify } from "csv-stringify/sync";
import fc from "fast-check";
import iconv from "iconv-lite";
import { describe, expect, it } from "vitest";
import { maxCellLength, parseCsv } from "./csv.ts";
import { decodeText, encodingOf } from "./decode.ts";

const records = (text: string) => [...parseCsv(text)];
const cells = (text: string) => records(text).map((r) => ("cells" in r ? r.cells : r.malformed));

describe("CSV (contract.md, CSV)", () => {
  it("what a CSV writer wrote is read back, cell by cell", () => {
    const cell = fc.string({
      unit: fc.constantFrom("a", "é", "漢", '"', ",", "\n", "\r\n", " ", "'", ";"),
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constant("k"), cell, cell), { maxLength: 12 }),
        fc.constantFrom("\n", "\r\n"),
        (rows, eol) => {
          const text = stringify([["a", "b", "c"], ...rows], { record_delimiter: eol, quoted_match: /[\r\n]/ });
          expect(cells(text)).toEqual([["a", "b", "c"], ...rows]);
        },
      ),
    );
  });

  it("each record knows the line it begins in, with quoted line ends and empty lines between", () => {
    const text = 'a,b\r\n"x\r\ny",1\r\n\r\n   \r\nz,2';
    expect(records(text)).toEqual([
      { line: 1, cells: ["a", "b"] },
      { line: 2, cells: ["x\r\ny", "1"] },
      { line: 6, cells: ["z", "2"] },
    ]);
    expect(cells("a,b\r1,2\r")).toEqual([
      ["a", "b"],
      ["1", "2"],
    ]);
    expect(cells('a;b\n1;"2;3"\n')).toEqual([
      ["a", "b"],
      ["1", "2;3"],
    ]);
    expect(cells("")).toEqual([]);
  });

  it("a broken record is named and the next one is read; after a quote that never closes nothing is", () => {
    expect(records('a,b\n"x"y,1\nz,2\n')).toEqual([
      { line: 1, cells: ["a", "b"] },
      { line: 2, malformed: "something follows a closing quote" },
      { line: 3, cells: ["z", "2"] },
    ]);
    const unclosed = (text: string) => {
      const [header, record, ...more] = records(text);
      expect([header?.line, record?.line, more]).toEqual([1, 2, []]);
      return record !== undefined && "malformed" in record ? record.malformed : "";
    };
    expect(unclosed('a,b\n"x,1\nz,2\n')).toContain("opened in line 2 is not closed before the file ends");
    expect(unclosed('a,b\n"x\ny","1\n""')).toContain("opened in line 3 is not closed before the file ends");
    const far = `"x${"y".repeat(2 * maxCellLength)}"`;
    expect(unclosed(`a,b\n${far},1\n`)).toContain(
      `opened in line 2 is not closed within ${2 * maxCellLength} characters`,
    );
    const long = records(`a\n${"x".repeat(maxCellLength + 5)}\nb\n`);
    expect(long[1]).toMatchObject({ line: 2, malformed: expect.stringContaining("longer") as string });
    expect(long[2]).toEqual({ line: 3, cells: ["b"] });
  });

  it("no text makes the parser throw, hang or lose its place", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', ",", "\n", "\r", "a", " "), maxLength: 60 }), (text) => {
        const found = records(text);
        const lines = text.split(/\r\n|\r|\n/).length;
        let last = 0;
        for (const record of found) {
          expect(record.line).toBeGreaterThan(last);
          expect(record.line).toBeLessThanOrEqual(lines);
          last = record.line;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("encodings", () => {
  it("UTF-8 with and without mark, Shift_JIS and GB18030 give the same text", async () => {
    const japanese = "id,name\r\n1,髙橋 ｱｲｳ ①ソ表能\r\n";
    for (const [encoding, text] of [
      ["utf-8", japanese],
      ["shift_jis", japanese],
      ["gb18030", "id,name\n1,汉语 𠮷 ü\n"],
    ] as const)
      expect(await decodeText(iconv.encode(text, encoding), encoding)).toEqual({ ok: true, text });
    expect(await decodeText(Buffer.from(`\ufeff${japanese}`), "utf-8")).toEqual({ ok: true, text: japanese });
    expect(encodingOf("Shift-JIS")).toBe("shift_jis");
    expect(encodingOf("constructor")).toBeUndefined();
  });

  it("bytes that are not of the encoding are named by their lines, also behind the first piece", async () => {
    const long = Buffer.from("あ".repeat(1000) + "\n");
    const file = Buffer.concat([
      ...Array.from({ length: 200 }, () => long),
      Buffer.from([0x61, 0xff, 0x0a]),
      long,
      Buffer.from([0xe3, 0x81]),
    ]);
    expect(await decodeText(file, "utf-8")).toEqual({ ok: false, lines: [201, 203] });
    expect(await decodeText(Buffer.from([0x31, 0x0a, 0x82, 0x0a]), "shift_jis")).toEqual({ ok: false, lines: [2] });
    expect(await decodeText(iconv.encode("日本語\n", "shift_jis"), "utf-8")).toEqual({ ok: false, lines: [1] });
  });
});
