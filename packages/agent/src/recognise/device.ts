/**
 * Purpose: who a scanned machine is when it was never enrolled: an id made from the machine's own evidence, so that two scans of one
 * machine are one device (contract.md: an imported inventory belongs to the device with its id).
 * Invariants: better two devices for one machine than one for two. Firmware's UUID or serial number (with the system's machine id) makes
 * the id, and a renamed machine stays itself. Without them the host name goes in as well, for images are copied with their machine
 * id inside; and where even the host name is a stand-in (an export's file name), so does what was found.
 * A scan without the rights to read firmware's data therefore gets another id than one with them. What firmware says of every
 * board never gets here: the hardware reader leaves it out.
 */
import { canonicalJson, sha256Hex, type Inventory, type Title } from "@daicho/protocol";
import { wellFormed } from "./titles.ts";

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
  const serial = clean(identity.serial);
  return {
    id: enrolledId ?? machineDeviceId(identity, standIn, titles),
    hostname: (hostname ?? standIn).slice(0, 255),
    ...(serial === undefined ? {} : { serial: serial.slice(0, 128) }),
  };
}

function machineDeviceId(identity: MachineIdentity, standIn: string, titles: readonly Title[]): string {
  const [uuid, serial, machineId, hostname] = [
    identity.uuid,
    identity.serial,
    identity.machineId,
    identity.hostname,
  ].map((text) => clean(text)?.toLowerCase() ?? null);
  const evidence =
    uuid !== null || serial !== null
      ? { uuid, serial, machineId }
      : hostname !== null || machineId !== null
        ? { machineId, hostname }
        : { standIn, titles: canonicalJson(titles) };
  return `m-${sha256Hex(canonicalJson(evidence)).slice(0, 32)}`;
}

function clean(text: string | undefined): string | undefined {
  const cleaned = text === undefined ? undefined : wellFormed(text).trim();
  return cleaned === "" ? undefined : cleaned;
}
