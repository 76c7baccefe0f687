/**
 * Purpose: what tells this machine from another besides its key, so that a copied key is noticed (design.md "Clones").
 * Invariants: junk values - the ones that whole batches of machines share - count nothing; the hash does not depend on the
 * order in which network cards were found; a machine without any evidence has none rather than a made-up one.
 */
import { canonicalJson, sha256Hex, type Inventory, type MachineEvidence } from "@daicho/protocol";

export function machineEvidence(inventory: Inventory): MachineEvidence {
  const { hardware } = inventory;
  const serial = meaningful(hardware?.serial)?.slice(0, 128);
  const uuid = meaningful(hardware?.uuid)?.toLowerCase().slice(0, 64);
  const macs = [
    ...new Set((hardware?.network ?? []).map((card) => burntIn(card.mac)).filter((mac) => mac !== undefined)),
  ];
  return {
    ...(inventory.device.hostname !== "" && { hostname: inventory.device.hostname }),
    ...(serial !== undefined && { serial }),
    ...(uuid !== undefined && { uuid }),
    ...(macs.length > 0 && { macs: macs.sort().slice(0, 64) }),
  };
}

/** 32 hex digits over serial, UUID and MACs - not over the host name, which people change. */
export function evidenceHash(inventory: Inventory): string | undefined {
  const { serial, uuid, macs } = machineEvidence(inventory);
  if (serial === undefined && uuid === undefined && macs === undefined) return undefined;
  return sha256Hex(canonicalJson({ serial, uuid, macs })).slice(0, 32);
}

/** Firmware that was never filled in says so in many words, or in one letter repeated. */
function meaningful(text: string | undefined): string | undefined {
  const value = text?.trim() ?? "";
  const bare = value.replaceAll(/[^0-9a-zA-Z]/g, "").toLowerCase();
  if (bare.length < 4 || /^(.)\1*$/.test(bare)) return undefined;
  return junk.has(bare) ? undefined : value;
}

const junk = new Set([
  "tobefilledbyoem",
  "systemserialnumber",
  "defaultstring",
  "notspecified",
  "notapplicable",
  "notavailable",
  "unknown",
  "none",
  "123456789",
  "1234567890",
  "0123456789",
  "03000200040005000006000700080009",
  "00020003000400050006000700080009",
]);

/** Cards made up by software (docker, VPN, private Wi-Fi addresses) set the "locally administered" bit. */
function burntIn(mac: string | undefined): string | undefined {
  const hex = (mac ?? "").toLowerCase().replaceAll(/[^0-9a-f]/g, "");
  if (hex.length !== 12 || /^(.)\1*$/.test(hex)) return undefined;
  return (Number.parseInt(hex.slice(0, 2), 16) & 0b11) === 0 ? hex : undefined;
}
