import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { csvLines } from "./csv.ts";
import { createProgress } from "./progress.ts";
import { tableLines } from "./table.ts";
import { clip, displayWidth, harmless } from "./width.ts";

describe("tables", () => {
  it("align columns in any script: wide characters take two columns, combining marks none", () => {
    expect(displayWidth("LibreOffice")).toBe(11);
    expect(displayWidth("弥生会計 24")).toBe(11);
    expect(displayWidth("ｶﾞ")).toBe(2);
    expect(displayWidth("が")).toBe(2);
    expect(displayWidth("КОМПАС-3D")).toBe(9);
    expect(displayWidth("한컴오피스")).toBe(10);
    const lines = tableLines(
      [{ title: "name" }, { title: "used", align: "right" }],
      [
        ["弥生会計", 3],
        ["Zoom", 12],
        ["が", null],
      ],
    );
    expect(lines).toEqual(["name      used", "弥生会計     3", "Zoom        12", "が"]);
  });

  it("never hand a name's control characters to the terminal", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(harmless(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/u);
        for (const line of tableLines([{ title: "t" }], [[text]])) expect(line).not.toMatch(/[\u0000-\u001f\u007f]/);
      }),
    );
  });

  it("clip to a width without exceeding it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 2, max: 40 }), (text, width) => {
        expect(displayWidth(clip(text, width))).toBeLessThanOrEqual(width);
      }),
    );
    expect(clip("弥生会計 24", 6)).toBe("弥生…");
  });
});

describe("CSV", () => {
  it("has the columns of all rows, quotes what needs it and flattens what is nested", () => {
    const lines = csvLines([
      { a: 1, b: { c: "x,y", d: ["p", "q"] } },
      { a: null, e: 'say "no"' },
    ]);
    expect(lines).toEqual(["a,b.c,b.d,e", '1,"x,y",p|q,', ',,,"say ""no"""']);
  });

  it("have their usual columns where there is no row", () => {
    expect(csvLines([], ["a", "b"])).toEqual(["a,b"]);
  });

  it("keeps licence codes as they are and lets no cell run as a formula", () => {
    const [, line] = csvLines([
      { license: "@LIBO7", name: "=HYPERLINK(1)", other: "@SUM(A1)", minus: "-5", dash: "-x", sum: "-2+cmd" },
    ]);
    expect(csvLines([{ license: "@台帳" }])[1]).toBe("@台帳");
    expect(line).toBe("@LIBO7,'=HYPERLINK(1),'@SUM(A1),-5,'-x,'-2+cmd");
  });
});

describe("progress", () => {
  it("shows on a terminal only", () => {
    let written = "";
    const stream = (isTerminal: boolean): Parameters<typeof createProgress>[0] => ({
      write: (text) => {
        written += text;
        return Promise.resolve();
      },
      isTerminal,
      columns: 20,
    });
    createProgress(stream(false), () => 0).show("1 of 2");
    expect(written).toBe("");
    createProgress(stream(true), () => 0).show("1 of 2");
    expect(written).toContain("1 of 2");
  });
});
