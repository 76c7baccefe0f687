import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRegReader, maxValue } from "./reg-file.ts";
import { maxLine } from "./reg-lines.ts";

interface Read {
  readonly values: Record<string, string>;
  readonly faults: string[];
}

/** `{ "KEY|name": text }`, read in chunks of the given size. */
function read(bytes: Buffer, chunk = bytes.length): Read {
  const values: Record<string, string> = {};
  const faults: string[] = [];
  let key = "";
  const reader = createRegReader({
    key: (path) => ((key = path), true),
    value: (value) => (values[`${key}|${value.name}`] = value.text),
    deleteKey(path) {
      for (const name of Object.keys(values)) if (name.startsWith(`${path}|`)) delete values[name];
    },
    deleteValue: (name) => void delete values[`${key}|${name}`],
    fault: (line, message) => void faults.push(`${line}: ${message}`),
  });
  for (let at = 0; at < bytes.length; at += Math.max(1, chunk))
    reader.write(bytes.subarray(at, at + Math.max(1, chunk)));
  reader.end();
  return { values, faults };
}

const header = "Windows Registry Editor Version 5.00\r\n\r\n";
const utf8 = (body: string): Buffer => Buffer.from(header + body, "utf8");
const utf16 = (text: string): Buffer => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
const wide = (text: string): string =>
  [...Buffer.from(text, "utf16le")].map((b) => b.toString(16).padStart(2, "0")).join(",");

describe("the reader of .reg files", () => {
  it("reads every type that regedit writes", () => {
    const body = [
      "[HKEY_LOCAL_MACHINE\\SOFTWARE\\A]",
      '@="default"',
      '"Text"="C:\\\\Program Files\\\\\\"A\\""',
      '"Number"=dword:0000002a',
      `"Expand"=hex(2):${wide("%ProgramFiles%\\A\0")}`,
      `"List"=hex(7):${wide("one\0two\0\0")}`,
      '"Long"=hex(b):00,00,00,00,01,00,00,00',
      '"Bytes"=hex:de,ad,\\',
      "  be,ef",
      '"None"=hex(0):',
      `"Cut"=hex(1):${wide("kept\0left over")}`,
    ].join("\r\n");
    const key = "HKEY_LOCAL_MACHINE\\SOFTWARE\\A";
    expect(read(utf8(body))).toEqual({
      faults: [],
      values: {
        [`${key}|`]: "default",
        [`${key}|Text`]: 'C:\\Program Files\\"A"',
        [`${key}|Number`]: "42",
        [`${key}|Expand`]: "%ProgramFiles%\\A",
        [`${key}|List`]: "one\ntwo",
        [`${key}|Long`]: "4294967296",
        [`${key}|Bytes`]: "deadbeef",
        [`${key}|None`]: "",
        [`${key}|Cut`]: "kept",
      },
    });
  });

  it("reads the same text in every encoding, however the bytes are cut", () => {
    const text = `${header}[HKEY_CURRENT_USER\\Software\\一太郎]\r\n"名前"="サクラ 1С:Предприятие 𠮷"\r\n`;
    const expected = { values: { "HKEY_CURRENT_USER\\Software\\一太郎|名前": "サクラ 1С:Предприятие 𠮷" }, faults: [] };
    const bigEndian = utf16(text).swap16();
    const encodings = [
      utf16(text),
      bigEndian,
      utf16(text).subarray(2),
      Buffer.from(text),
      Buffer.from(`\ufeff${text}`),
    ];
    for (const bytes of encodings) {
      for (const size of [1, 2, 3, 7, 64, bytes.length]) expect(read(bytes, size)).toEqual(expected);
      const withoutReturns = Buffer.from(text.replaceAll("\r", ""));
      expect(read(withoutReturns)).toEqual(expected);
    }
  });

  it("deletes what [-KEY] and =- say", () => {
    const body = '[HK\\A]\n"x"="1"\n"y"="2"\n[HK\\B]\n"x"="1"\n[HK\\A]\n"y"=-\n[-HK\\B]\n"ignored"="1"\n';
    expect(read(utf8(body)).values).toEqual({ "HK\\A|x": "1" });
  });

  it("takes a string over several lines, and brackets and equals signs inside names", () => {
    const body = '[HK\\{A}]b]\r\n"a=b"="first\r\n  second"\r\n"c"="3"\r\n';
    expect(read(utf8(body))).toEqual({
      values: { "HK\\{A}]b|a=b": "first\r\n  second", "HK\\{A}]b|c": "3" },
      faults: [],
    });
  });

  it("loses only the broken line, and names it", () => {
    const broken = [
      ["nonsense", "5: neither a key"],
      ['"open"="never closed', "5: the string is never closed"],
      ['"b"=hex:01,02,\\', "5: the list of bytes breaks off"],
      ['"b"=hex:01,zz', "5: the bytes are not hexadecimal"],
      ['"d"=dword:xyz', "5: the data is neither"],
      ['"q"="a" b"', "5: there is text after the closing quote"],
      ['"half', "5: a value must read"],
      [`"x"="${"y".repeat(maxValue + 1)}"`, "5: the value is longer than"],
    ] as const;
    for (const [line, fault] of broken) {
      const { values, faults } = read(
        utf8(`[HK\\A]\r\n"before"="1"\r\n${line}\r\n"after"="2"\r\n[HK\\B]\r\n"c"="3"\r\n`),
      );
      expect(values, line.slice(0, 40)).toEqual({ "HK\\A|before": "1", "HK\\A|after": "2", "HK\\B|c": "3" });
      expect(faults.map((f) => f.slice(0, fault.length))).toEqual([fault]);
    }
  });

  it("gives the values below a broken key line to no key", () => {
    const { values, faults } = read(utf8('[HK\\A]\n"a"="1"\n[HK\\B\n"b"="2"\n[HK\\C]\n"c"="3"\n'));
    expect(values).toEqual({ "HK\\A|a": "1", "HK\\C|c": "3" });
    expect(faults).toEqual(["5: the key is not closed by ]"]);
  });

  it("reports text in an old code page with its line instead of guessing", () => {
    const shiftJis = Buffer.from([0x83, 0x54, 0x83, 0x4e, 0x83, 0x89]);
    const bytes = Buffer.concat([
      utf8('[HK\\A]\r\n"DisplayName"="'),
      shiftJis,
      Buffer.from('"\r\n"after"="1"\r\n[HK\\'),
      shiftJis,
      Buffer.from(']\r\n"lost"="1"\r\n[HK\\B]\r\n"b"="2"\r\n'),
    ]);
    for (const size of [1, 5, bytes.length]) {
      const { values, faults } = read(bytes, size);
      expect(values).toEqual({ "HK\\A|after": "1", "HK\\B|b": "2" });
      expect(faults.map((f) => f.split(":")[0])).toEqual(["4", "6"]);
    }
    const ansi = read(Buffer.from('REGEDIT4\n\n[HK\\A]\n"E"=hex(2):41,62,00\n"J"=hex(2):83,54,00\n'));
    expect(ansi.values).toEqual({ "HK\\A|E": "Ab" });
    expect(ansi.faults).toHaveLength(1);
  });

  it("says that a file without the header is no export", () => {
    expect(read(Buffer.from("")).faults[0]).toMatch(/^1: this is no registry export/);
    expect(read(Buffer.from([0x89, 0x50, 0x4e, 0x47])).faults[0]).toMatch(/^1: /);
    expect(read(Buffer.from('[HK\\A]\n"a"="1"\n'))).toEqual({
      values: { "HK\\A|a": "1" },
      faults: ['1: the first line is neither "Windows Registry Editor Version 5.00" nor "REGEDIT4"'],
    });
  });

  it("skips a line without end, in bounded memory, and goes on after it", () => {
    for (const make of [utf8, (body: string) => utf16(header + body)]) {
      const { values, faults } = read(make(`[HK\\A]\n"${"x".repeat(maxLine + 200_000)}\n"a"="1"\n`), 65536);
      expect(values).toEqual({ "HK\\A|a": "1" });
      expect(faults).toEqual([`4: the line is longer than ${maxLine} characters; it was left out`]);
    }
  });

  it("never throws, whatever the bytes", () => {
    const fragments = fc.constantFrom(
      '"',
      "\\",
      "[",
      "]",
      "=",
      "@",
      "hex(7):",
      "dword:",
      "00,",
      "-",
      "\r\n",
      "\n",
      ";",
      "HK",
      "\u0000",
    );
    const text = fc.array(fc.oneof(fragments, fc.string()), { maxLength: 60 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(
        fc.oneof(
          text.map(utf8),
          text.map((t) => utf16(header + t)),
          fc.uint8Array().map(Buffer.from),
        ),
        (bytes) => {
          const whole = read(bytes);
          expect(read(bytes, 1)).toEqual(whole);
        },
      ),
      { numRuns: 400 },
    );
  });

  it("gives back every string that was written, and flipped bits never cost an entry two lines away", () => {
    const name = fc
      .string({ unit: "binary", minLength: 1, maxLength: 30 })
      .filter((s) => !/[\0\r\n\ud800-\udfff]/.test(s) && s.trim() === s);
    const escape = (s: string): string => s.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
    fc.assert(
      fc.property(fc.array(fc.tuple(name, name), { minLength: 1, maxLength: 8 }), (entries) => {
        const body = entries.map(([n, v]) => `"${escape(n)}"="${escape(v)}"\r\n`).join("");
        const expected = Object.fromEntries(entries.map(([n, v]) => [`HK\\A|${n}`, v]));
        expect(read(utf16(`${header}[HK\\A]\r\n${body}`))).toEqual({ values: expected, faults: [] });
      }),
    );
    const lines = ["[HK\\A]", '"one"="1"', '"two"="2"', '"three"="3"', '"four"="4"', '"five"="5"'];
    const bytes = utf8(lines.join("\r\n"));
    const target = bytes.indexOf('"two"');
    fc.assert(
      fc.property(fc.integer({ min: target, max: target + 8 }), fc.integer({ min: 0, max: 7 }), (at, bit) => {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        expect(read(flipped).values).toMatchObject({ "HK\\A|one": "1", "HK\\A|four": "4", "HK\\A|five": "5" });
      }),
    );
  });
});
