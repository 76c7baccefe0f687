import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../findings.ts";
import { parsePlist } from "./plist.ts";

/** Written by Python's plistlib, both from the same values. */
const fixture = (name: string): Buffer => readFileSync(new URL(`./fixtures/${name}`, import.meta.url));

const xml = (body: string, before = ""): Buffer =>
  Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${before}<plist version="1.0">${body}</plist>`);

/** Parses; only a Fault may come out instead. */
function attempt(bytes: Buffer): ReadonlyMap<string, string> | "fault" {
  try {
    return parsePlist(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    return "fault";
  }
}

/** A binary property list of hand-made objects with one-byte references. */
function binary(objects: readonly Buffer[], top = 0): Buffer {
  const parts: Buffer[] = [Buffer.from("bplist00")];
  const offsets: number[] = [];
  for (const object of objects) {
    offsets.push(Buffer.concat(parts).length);
    parts.push(object);
  }
  const table = Buffer.alloc(offsets.length * 2);
  offsets.forEach((offset, i) => table.writeUInt16BE(offset, i * 2));
  const trailer = Buffer.alloc(32);
  trailer[6] = 2;
  trailer[7] = 1;
  trailer.writeBigUInt64BE(BigInt(objects.length), 8);
  trailer.writeBigUInt64BE(BigInt(top), 16);
  trailer.writeBigUInt64BE(BigInt(Buffer.concat(parts).length), 24);
  return Buffer.concat([...parts, table, trailer]);
}

describe("property lists", () => {
  it("give the same top-level values whether written as XML or binary", () => {
    const values = {
      CFBundleDisplayName: "一太郎ビューア",
      CFBundleName: "Ichitaro",
      CFBundleIdentifier: "jp.co.justsystems.viewer",
      CFBundleShortVersionString: "12.4.1",
      CFBundleVersion: "12041",
      CFBundleExecutable: "Viewer",
      LSMinimumSystemVersion: "11.0",
      NSHighResolutionCapable: "true",
      LSUIElement: "false",
      Count: "300",
      Ratio: "1.5",
      CFBundleGetInfoString: "© 2023 JustSystems",
    };
    expect(Object.fromEntries(parsePlist(fixture("binary.plist")))).toEqual(values);
    expect(Object.fromEntries(parsePlist(fixture("xml.plist")))).toEqual(values);
  });

  it("pair each key with the value behind it, also where a value of another kind stands between", () => {
    const body =
      "<dict><key>A</key><array><string>no</string></array><key>B</key><string>a &amp; b &#x4e00;</string><key>C</key><true/></dict>";
    expect(Object.fromEntries(parsePlist(xml(body)))).toEqual({ B: "a & b 一", C: "true" });
  });

  it("are read through comments, CDATA and attributes, and not beyond the dictionary", () => {
    const body =
      "<!-- a --><dict><!-- <key>no</key> --><key>A</key><string><![CDATA[<b> & ]]>c</string><key>B</key><string/></dict>";
    expect(Object.fromEntries(parsePlist(xml(body)))).toEqual({ A: "<b> & c", B: "" });
  });

  it("are an error where they are no dictionary, break off or are closed out of order", () => {
    for (const body of [
      "<array/>",
      "<dict><key>A</key>",
      "<dict><key>A</dict></key>",
      "<dict a=b></dict>",
      "plain",
      "",
    ]) {
      expect(attempt(xml(body)), body).toBe("fault");
    }
    expect(attempt(Buffer.from("<html><dict></dict></html>"))).toBe("fault");
    expect(attempt(xml("<dict>".repeat(100_000)))).toBe("fault");
  });

  it("know no entities of their own", () => {
    const bomb = '<!DOCTYPE plist [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>';
    expect(attempt(xml("<dict><key>A</key><string>&b;</string></dict>", bomb))).toBe("fault");
    const file = '<!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/passwd">]>';
    expect(attempt(xml("<dict><key>A</key><string>&x;</string></dict>", file))).toBe("fault");
    const unknown = attempt(xml("<dict><key>A</key><string>&x;</string></dict>"));
    expect(unknown === "fault" ? "" : unknown.get("A")).toBe("&x;");
  });

  it("cost nothing for objects that contain themselves or name one object again and again", () => {
    const key = Buffer.from([0x51, 0x41]);
    const cyclic = binary([Buffer.from([0xd1, 1, 2]), key, Buffer.from([0xa1, 2])]);
    expect(attempt(cyclic)).toEqual(new Map());
    const own = binary([Buffer.from([0xd1, 1, 0]), key]);
    expect(attempt(own)).toEqual(new Map());

    const long = Buffer.concat([Buffer.from([0x5f, 0x11, 0x40, 0x00]), Buffer.alloc(0x4000, 0x41)]);
    const many = 4000;
    const references = Buffer.alloc(many * 2, 1);
    const dictionary = Buffer.concat([Buffer.from([0xdf, 0x11, many >> 8, many & 255]), references]);
    expect(attempt(binary([dictionary, long]))).toBe("fault");
  });

  it("are an error, never a crash or a hang, whatever the bytes (quality.md: garbage in every parser)", () => {
    for (const name of ["binary.plist", "xml.plist"]) {
      const whole = fixture(name);
      for (let length = 0; length < whole.length; length += 3) attempt(whole.subarray(0, length));
      fc.assert(
        fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
          const broken = Buffer.from(whole);
          broken[at] = byte;
          attempt(broken);
        }),
        { numRuns: 1500 },
      );
    }
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        (bytes) => void attempt(Buffer.concat([Buffer.from("bplist00"), bytes])),
      ),
    );
    fc.assert(fc.property(fc.string(), (text) => void attempt(Buffer.from(text))));
  });
});
