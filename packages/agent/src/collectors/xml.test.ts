import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attribute, children, parseXml, textOf } from "./xml.ts";

const parse = (text: string) => parseXml(Buffer.from(text));

describe("the XML reader", () => {
  it("gives children by name, attributes, text and CDATA, without name spaces", () => {
    const document = parse(`\ufeff<?xml version="1.0"?><!-- c <a> --><x:root xmlns:x="u" a='1 &lt; 2' x:b="&#x6771;">
      <x:item n="1"/><item n="2">t &amp; <![CDATA[<raw> &amp;]]></item><empty></empty>
      <名前>値</名前></x:root  >\n<!-- end -->`);
    const [root] = children(document, "root");
    expect([attribute(root, "a"), attribute(root, "b")]).toEqual(["1 < 2", "東"]);
    expect(children(root, "item").map((item) => attribute(item, "n"))).toEqual(["1", "2"]);
    expect(textOf(children(root, "item")[1])).toBe("t & <raw> &amp;");
    expect(textOf(children(root, "empty")[0])).toBeUndefined();
    expect(textOf(children(root, "名前")[0])).toBe("値");
    expect(children(root, "constructor")).toEqual([]);
    expect(children(parse("<a><__proto__>x</__proto__></a>"), "a")).toHaveLength(1);
  });

  it("reads the encodings that are declared or marked", () => {
    const sjis = Buffer.concat([
      Buffer.from('<?xml version="1.0" encoding="Shift_JIS"?><a>'),
      Buffer.from([0x93, 0x8c, 0x8b, 0x9e]),
      Buffer.from("</a>"),
    ]);
    expect(textOf(children(parseXml(sjis), "a")[0])).toBe("東京");
    expect(textOf(children(parseXml(Buffer.from("<a>é</a>", "utf16le")), "a")[0])).toBe("é");
    expect(() => parse('<?xml version="1.0" encoding="klingon"?><a/>')).toThrow("klingon");
  });

  it.each([
    ["", "there is no element"],
    ["plain text", "text outside"],
    ["<a>", "has no end"],
    ["<a></b>", "ends nothing"],
    ["</a>", "ends nothing"],
    ["<a/><b/>", "a second document"],
    ["<a/>x", "text outside"],
    ["<a b></a>", "without an end"],
    ["<a b=c></a>", "without an end"],
    ["<a b='<'/>", "without an end"],
    ["<a><!-- </a>", "a comment without an end"],
    ["< a/>", "without a name"],
    ["\n\n<a\n><b></a>", "line 4"],
    ["<a>".repeat(65) + "</a>".repeat(65), "nested too deeply"],
  ])("refuses %j", (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  it("reads no document type declaration, so nothing can multiply itself, and passes over one that only refers elsewhere", () => {
    expect(textOf(children(parse('<!DOCTYPE a SYSTEM "a.dtd"><a>b</a>'), "a")[0])).toBe("b");
    expect(() => parse('<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>')).toThrow("document type");
    expect(textOf(children(parse("<a>&b; &#0; &#xD800;</a>"), "a")[0])).toBe("&b; &#0; &#xD800;");
  });

  it("takes time that grows with the text and not faster", () => {
    const hostile = ["<a>", "<a ", "<", "&#", "<a b='", "<!--", "<![CDATA[", "<a b='1' ", " \n", "<a/>"];
    for (const piece of hostile) {
      try {
        parse(`<r>${piece.repeat(Math.floor(2_000_000 / piece.length))}`);
      } catch {
        // all but the last are broken; that they end at all is the point
      }
    }
  });

  it("gives back any text that is written with references", () => {
    const escape = (text: string) => [...text].map((c) => `&#${c.codePointAt(0) ?? 0};`).join("");
    const text = fc.string({ unit: "grapheme" }).filter((s) => !s.includes("\0") && s.trim() !== "" && s === s.trim());
    fc.assert(
      fc.property(text, (value) => {
        const [root] = children(parse(`<r v="${escape(value)}">${escape(value)}</r>`), "r");
        expect([attribute(root, "v"), textOf(root)]).toEqual([value, value]);
      }),
    );
  });
});
