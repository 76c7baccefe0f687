/**
 * Purpose: what tells this machine from another besides its key, so that a copied key is noticed (design.md "Clones").
 * Invariants: junk values - the ones that whole batches of machines share - count nothing; the hash does not depend on the
 * order in which network cards were found; a machine without any evidence has none rather than a made-up one.
 */
import { canonicalJson, sha256Hex, type Inventory, type MachineEvidence } from "@daicho/protocol";
import { isJunkSerial, isJunkUuid, isOwnMac } from "../collectors/hardware/junk.ts";

export function machineEvidence(inventory: Inventory): MachineEvidence {
  const { hardware } = inventory;
  const serial = kept(hardware?.serial, isJunkSerial)?.slice(0, 128);
  const uuid = kept(hardware?.uuid, isJunkUuid)?.toLowerCase().slice(0, 64);
  const macs = new Set<string>();
  for (const { mac } of hardware?.network ?? []) {
    if (mac !== undefined && isOwnMac(mac)) macs.add(mac.trim().toLowerCase());
  }
  return {
    ...(inventory.device.hostname !== "" && { hostname: inventory.device.hostname }),
    ...(serial !== undefined && { serial }),
    ...(uuid !== undefined && { uuid }),
    ...(macs.size > 0 && { macs: [...macs].sort().slice(0, 64) }),
  };
}

/** 32 hex digits over serial, UUID and MACs - not over the host name, which people change. */
export function evidenceHash(inventory: Inventory): string | undefined {
  const { serial, uuid, macs } = machineEvidence(inventory);
  if (serial === undefined && uuid === undefined && macs === undefined) return undefined;
  return sha256Hex(canonicalJson({ serial, uuid, macs })).slice(0, 32);
}

function kept(value: string | undefined, isJunk: (value: string) => boolean): string | undefined {
  const text = value?.trim();
  return text === undefined || isJunk(text) ? undefined : text;
}
