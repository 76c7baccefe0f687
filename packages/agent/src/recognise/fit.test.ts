import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Hardware, Inventory, validator, type RecognizedCode } from "@daicho/protocol";
import { fit, fitCodes, fitHardware } from "./fit.ts";

const told: string[] = [];
const note = (path: string, reason: string): void => void told.push(`${path} ${reason}`);
const isInventory = validator(Inventory);
const inventoryWith = (part: object): unknown => ({
  daicho: "inventory/v1",
  device: { hostname: "x" },
  software: [],
  ...part,
});

const text = fc.oneof(fc.string(), fc.string({ minLength: 60, maxLength: 600 }), fc.constant("\ud800"));
const anything = fc.oneof(text, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constant(undefined));
const hardware = fc.oneof(
  fc.anything(),
  fc.record(
    {
      serial: anything,
      chassis: anything,
      virtual: anything,
      memory: anything,
      user: anything,
      other: anything,
      cpu: fc.oneof(anything, fc.record({ cores: anything, model: anything, more: anything }, { requiredKeys: [] })),
      disks: fc.oneof(anything, fc.array(fc.record({ size: anything, name: anything }, { requiredKeys: [] }))),
      network: fc.array(fc.oneof(anything, fc.record({ mac: anything, addresses: fc.array(anything) }))),
    },
    { requiredKeys: [] },
  ),
);
const codes = fc.array(
  fc.oneof(
    anything,
    fc.record({
      code: anything,
      version: anything,
      evidence: fc.oneof(anything, fc.array(fc.record({ probe: anything, found: fc.dictionary(text, anything) }))),
    }),
  ),
);

describe("fitting a reading to its schema", () => {
  it("always makes what the inventory's validator accepts", () => {
    const check = validator(Hardware);
    fc.assert(
      fc.property(hardware, codes, (anyHardware, anyCodes) => {
        const fitting = fitHardware(anyHardware as Hardware, note);
        expect(check(fitting)).toMatchObject({ ok: true });
        const whole = inventoryWith({ hardware: fitting, codes: fitCodes(anyCodes as RecognizedCode[], 5, note) });
        expect(isInventory(whole)).toMatchObject({ ok: true });
      }),
    );
  });

  it("hands on what is valid as it is, and says nothing", () => {
    told.length = 0;
    const good = { serial: "5CD1234", cpu: { cores: 4, vendorWord: "x" }, network: [{ mac: "00:11:22:33:44:56" }] };
    expect(fitHardware(good, note)).toEqual(good);
    const found = { name: "a", path: "/a" };
    const code = { code: "@A", version: "1", evidence: [{ probe: "file(name = a)", found }] };
    expect(fitCodes([code], 1, note)).toEqual([code]);
    expect(told).toEqual([]);
  });

  it("costs only the reading that does not fit, and names its place but not its value", () => {
    told.length = 0;
    const fitting = fitHardware(
      {
        serial: "s".repeat(200),
        memory: -1,
        cpu: { cores: 1.5, model: "M" },
        user: "u",
        disks: [{ size: 1 }, { size: -1 }],
      },
      note,
    );
    expect(fitting).toEqual({ cpu: { model: "M" }, user: "u", disks: [{ size: 1 }, {}] });
    expect(told).toEqual([
      "/hardware/serial is no text of its length",
      "/hardware/memory is no number of its range",
      "/hardware/cpu/cores is no number of its range",
      "/hardware/disks/1/size is no number of its range",
    ]);
    expect(
      fitCodes(
        [
          { code: "", evidence: [] },
          { code: "@A", evidence: [] },
        ],
        1,
        note,
      ),
    ).toEqual([{ code: "@A", evidence: [] }]);
  });

  it("refuses to guess at a schema it does not know", () => {
    expect(() => fit({ type: "null" }, null, "", note)).toThrow("is not known here");
  });
});
