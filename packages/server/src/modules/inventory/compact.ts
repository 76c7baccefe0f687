/**
 * Purpose: names of fixed form as few bytes: an identity's id and its evidence in a sixth to a half of their text. Whatever has another form is
 * kept as text, so every value comes back exactly as it was.
 */
import { MachineEvidence, validator } from "@daicho/protocol";
import { readVarint, writeVarint } from "../../db/varint.ts";

const hex = /^(?:[0-9a-f]{2})+$/;

/** Hex digits as bytes behind a 0, any other text as UTF-8 behind a 1. */
export function packText(text: string): Buffer {
  return hex.test(text)
    ? Buffer.concat([Buffer.of(0), Buffer.from(text, "hex")])
    : Buffer.concat([Buffer.of(1), Buffer.from(text, "utf8")]);
}

export function unpackText(bytes: Buffer): string {
  return bytes.toString(bytes[0] === 0 ? "hex" : "utf8", 1);
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const mac = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;
/** Kinds of a part: text of one field, or a form that is shorter as bytes. */
const parts = { hostname: 1, serial: 2, uuid: 3, uuidBytes: 4, mac: 5, macBytes: 6 } as const;
const check = validator(MachineEvidence);

/** Evidence (JSON, as enrolment stores it): parts of kind · varint length · bytes behind a 2; JSON that has another form behind a 1. */
export function packEvidence(json: string): Buffer {
  const read = check(JSON.parse(json));
  if (read.ok) {
    const { hostname, serial, uuid: id, macs } = read.value;
    const list: (readonly [number, Buffer])[] = [];
    const put = (kind: number, text: string): void => void list.push([kind, Buffer.from(text, "utf8")]);
    if (hostname !== undefined) put(parts.hostname, hostname);
    if (serial !== undefined) put(parts.serial, serial);
    if (id !== undefined) {
      if (uuid.test(id)) list.push([parts.uuidBytes, Buffer.from(id.replaceAll("-", ""), "hex")]);
      else put(parts.uuid, id);
    }
    for (const one of macs ?? [])
      if (mac.test(one)) list.push([parts.macBytes, Buffer.from(one.replaceAll(":", ""), "hex")]);
      else put(parts.mac, one);
    const bytes = Buffer.concat([
      Buffer.of(2),
      ...list.flatMap(([kind, value]) => {
        const head = Buffer.alloc(7, kind);
        return [head.subarray(0, writeVarint(head, 1, value.length)), value];
      }),
    ]);
    if (unpackEvidence(bytes) === json) return bytes;
  }
  return Buffer.concat([Buffer.of(1), Buffer.from(json, "utf8")]);
}

export function unpackEvidence(bytes: Buffer): string {
  if (bytes[0] !== 2) return bytes.toString("utf8", 1);
  const evidence: { hostname?: string; serial?: string; uuid?: string; macs?: string[] } = {};
  for (let at = 1; at < bytes.length;) {
    const kind = bytes[at];
    const [length, from] = readVarint(bytes, at + 1);
    at = from + length;
    const value = bytes.subarray(from, at);
    if (kind === parts.hostname) evidence.hostname = value.toString("utf8");
    else if (kind === parts.serial) evidence.serial = value.toString("utf8");
    else if (kind === parts.uuid) evidence.uuid = value.toString("utf8");
    else if (kind === parts.uuidBytes)
      evidence.uuid = value.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    else {
      const text = kind === parts.mac ? value.toString("utf8") : (value.toString("hex").match(/../g) ?? []).join(":");
      (evidence.macs ??= []).push(text);
    }
  }
  return JSON.stringify(evidence);
}
