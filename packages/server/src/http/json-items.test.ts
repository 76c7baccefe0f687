import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonItems } from "./json-items.ts";

const items = (text: string): unknown[] => [...jsonItems(Buffer.from(text))];
const fault = (text: string): string => {
  try {
    items(text);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`taken: ${text}`);
};
/** What JSON.parse makes of its own text; -0 is not kept by it. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("documents of a body", () => {
  it("are an array's items, however it is laid out", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom(0, 1, "\t"), (values, indent) => {
        expect(items(JSON.stringify(values, null, indent))).toEqual(plain(values));
      }),
    );
  });

  it("are the values that stand one after the other", () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1 }),
        fc.constantFrom("\n", "\r\n", " ", "\n\n"),
        (values, between) => {
          const text = values.map((value) => JSON.stringify(value)).join(between);
          expect(items(text)).toEqual(plain(values));
          expect(items(`\ufeff${text}\n`)).toEqual(plain(values));
        },
      ),
    );
  });

  it("are refused where JSON.parse refuses the list, with the line", () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { minLength: 1 }).map((values) => JSON.stringify(values)),
        fc.nat(),
        fc.constantFrom("", ",", "]", "[", '"', "}", "x", "\\", "1"),
        (text, place, put) => {
          const at = 1 + (place % text.length);
          const broken = text.slice(0, at) + put + text.slice(at + 1);
          let expected: unknown;
          try {
            expected = JSON.parse(broken);
          } catch {
            expect(fault(broken)).toContain("line 1");
            return;
          }
          expect(items(broken)).toEqual(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("name the line of the one that is wrong", () => {
    expect(fault('{"a":1}\n{"a":"x\ny"}\n{}')).toContain("line 2: is not JSON");
    expect(fault('[\n{"a":\n1},\n{"a" 1}]')).toContain("line 4: is not JSON");
    expect(fault("[1,\n2")).toContain("line 2: is not JSON");
    expect(fault("[1,\n")).toContain("the list does not end");
    expect(fault("[1]\n\n2")).toContain("line 3: something stands behind the list");
    expect(fault(" \n")).toContain("the body is empty");
  });
});
