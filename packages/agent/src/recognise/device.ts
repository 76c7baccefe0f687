/**
 * Purpose: who a scanned machine is when it was never enrolled: an id made from the machine's own evidence, so that two scans of one
 * machine are one device (contract.md: an imported inventory belongs to the device with its id).
 * Invariants: firmware's UUID and serial number and the system's machine id decide, the host name only where there is none of them: a
 * renamed machine stays itself. Where even the host name is a stand-in (an export's file name), what was found goes in as well:
 * better two devices for one machine than one for two. Junk that firmware says of every board counts for nothing.
 * A scan without the rights to read the firmware's data may get another id than one with them.
 */
import { wellFormed } from "./titles.ts";
import { canonicalJson, sha256Hex, type Inventory, type Title } from "@daicho/protocol";

export interface MachineIdentity {
  readonly hostname?: string | undefined;
  readonly serial?: string | undefined;
  readonly uuid?: string | undefined;
  /** /etc/machine-id, Windows' MachineGuid. */
  readonly machineId?: string | undefined;
}

export interface DeviceQuery {
  /** Id given at enrollment. */
  readonly enrolledId: string | undefined;
  readonly identity: MachineIdentity;
  /** A name to show where the machine's own is not known. */
  readonly standIn: string;
  readonly titles: readonly Title[];
}

export function deviceOf({ enrolledId, identity, standIn, titles }: DeviceQuery): Inventory["device"] {
  const hostname = clean(identity.hostname);
  const serial = evidenceOf(identity.serial);
  return {
    id: enrolledId ?? machineDeviceId(identity, standIn, titles),
    hostname: (hostname ?? standIn).slice(0, 255),
    ...(serial === undefined ? {} : { serial: serial.slice(0, 128) }),
  };
}

function machineDeviceId(identity: MachineIdentity, standIn: string, titles: readonly Title[]): string {
  const firm = [identity.uuid, identity.serial, identity.machineId].map(
    (text) => evidenceOf(text)?.toLowerCase() ?? null,
  );
  const hostname = clean(identity.hostname)?.toLowerCase();
  const evidence = firm.some((text) => text !== null) ? firm : (hostname ?? { standIn, titles: canonicalJson(titles) });
  return `m-${sha256Hex(canonicalJson({ device: evidence })).slice(0, 32)}`;
}

const junk =
  /^(?:(.)\1*|0123456789.*|123456789.*|none|null|n\/?a|unknown|invalid|default(?: string)?|not (?:specified|applicable|available|present|settable)|to be filled.*|o\.e\.m\.|oem|system (?:serial number|manufacturer|product name)|serial number|chassis serial number|empty|03000200-0400-0500-0006-000700080009)$/i;

function evidenceOf(text: string | undefined): string | undefined {
  const cleaned = clean(text);
  return cleaned === undefined || junk.test(cleaned) || /^[0-]+$/.test(cleaned) || /^[f-]+$/i.test(cleaned)
    ? undefined
    : cleaned;
}

function clean(text: string | undefined): string | undefined {
  const cleaned = text === undefined ? undefined : wellFormed(text).trim();
  return cleaned === "" ? undefined : cleaned;
}
