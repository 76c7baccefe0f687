import type { Hardware, Inventory } from "@daicho/protocol";
import { describe, expect, it } from "vitest";
import { evidenceHash, machineEvidence } from "./evidence.ts";

const on = (hardware: Hardware, hostname = "pc01"): Inventory => ({
  daicho: "inventory/v1",
  device: { hostname },
  hardware,
  software: [],
});
const cards = (...macs: string[]): Pick<Hardware, "network"> => ({ network: macs.map((mac) => ({ mac })) });

describe("evidence of the machine (design.md: clones)", () => {
  it("is serial, UUID and the cards' own addresses", () => {
    const uuid = "4C4C4544-0051-3010-8047-B7C04F4D3733";
    expect(
      machineEvidence(on({ serial: " C02XY1234 ", uuid, ...cards("F0:1F:AF:00:00:02", "f0:1f:af:00:00:01") })),
    ).toEqual({
      hostname: "pc01",
      serial: "C02XY1234",
      uuid: uuid.toLowerCase(),
      macs: ["f0:1f:af:00:00:01", "f0:1f:af:00:00:02"],
    });
  });

  it("leaves out what whole batches of machines share, and what software makes up from day to day", () => {
    const junk: Hardware = {
      serial: "To Be Filled By O.E.M.",
      uuid: "03000200-0400-0500-0006-000700080009",
      ...cards("00:00:00:00:00:00", "02:42:ac:11:00:02", "5e:9d:1c:00:00:01", "00:50:56:c0:00:01"),
    };
    expect(machineEvidence(on(junk))).toEqual({ hostname: "pc01" });
    expect(evidenceHash(on(junk))).toBeUndefined();
    expect(evidenceHash(on({}))).toBeUndefined();
  });

  it("of a virtual machine holds the address its hypervisor gave it", () => {
    expect(machineEvidence(on(cards("52:54:00:ab:cd:01"))).macs).toEqual(["52:54:00:ab:cd:01"]);
  });

  it("hashes to the same whatever the host is called and whichever card came first, and to another on another machine", () => {
    const one = evidenceHash(on({ serial: "C02XY1234", ...cards("f0:1f:af:00:00:01", "f0:1f:af:00:00:02") }));
    const same = on({ serial: "C02XY1234", ...cards("F0:1F:AF:00:00:02", "f0:1f:af:00:00:01") }, "other");
    expect(one).toMatch(/^[0-9a-f]{32}$/);
    expect(evidenceHash(same)).toBe(one);
    expect(evidenceHash(on({ serial: "C02XY1235", ...cards("f0:1f:af:00:00:01", "f0:1f:af:00:00:02") }))).not.toBe(one);
  });
});
