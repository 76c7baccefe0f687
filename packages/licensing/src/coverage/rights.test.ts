import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAttachedRights, rightWords } from "./index.ts";

describe("attached rights as text (issue 3: upgrade, downgrade, second device, suites)", () => {
  it("separators, case, underscores and blanks inside words are forgiven; codes stay as they are", () => {
    expect(parseAttachedRights("Downgrade | second_device; SUITE(@A @B,@C), upgrade(@X19)")).toEqual({
      rights: [
        { right: "downgrade" },
        { right: "second-device" },
        { right: "suite", licenses: ["@A", "@B", "@C"] },
        { right: "upgrade", licenses: ["@X19"] },
      ],
      faults: [],
    });
    expect(parseAttachedRights(null)).toEqual({ rights: [], faults: [] });
    expect(parseAttachedRights(" | ;")).toEqual({ rights: [], faults: [] });
  });

  it("an unknown word and a malformed list are faults at their place, and what is right beside them stays", () => {
    expect(parseAttachedRights("upgrade|home-use|suite|suite(@A|downgrade(@A")).toMatchObject({
      rights: [{ right: "upgrade" }],
      faults: [
        { at: 9, message: expect.stringContaining('"home-use" is no right') as string },
        { at: 18, message: expect.stringContaining("suite needs") as string },
        { at: 24, message: expect.stringContaining("do not close") as string },
      ],
    });
    expect(parseAttachedRights("second-device(@A)").faults).toHaveLength(1);
    expect(parseAttachedRights("downgrade()").faults).toHaveLength(1);
    expect(parseAttachedRights("suite(@A <b>)").faults[0]?.message).toContain('"<b>" is no licence code');
  });

  it("no text makes it fail, every fault lies within the text, and what it read it reads again", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(fc.constantFrom(...rightWords, "(", ")", "@A", " ", "|", ",")).map((p) => p.join("")),
        ),
        (text) => {
          const { rights, faults } = parseAttachedRights(text);
          for (const { at } of faults) expect(at >= 1 && at <= text.length).toBe(true);
          const written = rights.map((r) =>
            r.licenses === undefined ? r.right : `${r.right}(${r.licenses.join(" ")})`,
          );
          expect(parseAttachedRights(written.join("|"))).toEqual({ rights, faults: [] });
        },
      ),
    );
  });
});
