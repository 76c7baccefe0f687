/**
 * Purpose: the reported state of a device - facts only - in the one byte form that agent and server digest alike.
 * Four sections: `titles` (sorted 8-byte hashes), `details` (facts about the copies of each title, parallel to the sorted
 * titles), `probes` (hits of file and registry probes), `machine` (host name, hardware, dictionary version the probes answer).
 * The last three are JSON, deflated with a fixed dictionary; their digests are over the bytes as sent, so the server
 * can keep and compare them without unpacking. The state digest covers all four: see design.md "Delivery".
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { Type, type Static } from "./type.ts";
import { sha256, sha256Hex } from "./canonical.ts";
import type { InventoryDevice } from "./inventory.ts";
import { Hardware, maxTitles, type Inventory, type Title } from "./inventory.ts";
import { validator } from "./schema.ts";
import { hashTitle, titleHashBytes, titleText, type TitleText } from "./title-identity.ts";

/** A `file(…)` or `registry(…)` probe of the dictionary that holds on this machine, with what it found. */
export const ProbeHit = Type.Object(
  {
    /** The probe's canonical text. */
    probe: Type.String({ minLength: 1, maxLength: 2048 }),
    found: Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 4096 })),
  },
  { additionalProperties: false },
);
export type ProbeHit = Static<typeof ProbeHit>;
export const ProbeHits = Type.Array(ProbeHit, { maxItems: 50_000 });

export const Machine = Type.Object(
  {
    hostname: Type.String({ maxLength: 255 }),
    hardware: Type.Optional(Hardware),
    /** Dictionary version whose machine probes `probes` answers; 0 = none yet. */
    probesVersion: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
);
export type Machine = Static<typeof Machine>;

/** One copy's facts; `undefined` where the source did not say. */
export type TitleDetail = Pick<Title, "installedAt" | "size" | "path" | "lastUsedAt">;

const TextColumn = Type.Object({
  values: Type.Array(Type.String({ maxLength: 4096 }), { maxItems: maxTitles * 2 }),
  at: Type.Array(Type.Integer({ minimum: -1 }), { maxItems: maxTitles * 2 }),
});
/** Columns over the copies; `copies` = number of copies of each sorted title, absent where every title has one. */
export const Details = Type.Object(
  {
    copies: Type.Optional(Type.Array(Type.Integer({ minimum: 1 }), { maxItems: maxTitles })),
    installedAt: Type.Optional(TextColumn),
    path: Type.Optional(TextColumn),
    lastUsedAt: Type.Optional(TextColumn),
    /** Bytes; -1 = not known. */
    size: Type.Optional(Type.Array(Type.Integer({ minimum: -1 }), { maxItems: maxTitles * 2 })),
  },
  { additionalProperties: false },
);
type Details = Static<typeof Details>;

const checkProbes = validator(ProbeHits);
const checkMachine = validator(Machine);
const checkDetails = validator(Details);

export interface DeviceState {
  /** Sorted unique 8-byte title hashes. */
  readonly titles: Buffer;
  readonly details: Buffer;
  readonly probes: Buffer;
  readonly machine: Buffer;
}

export const maxSectionBytes = 4 * 1024 * 1024;
const maxUnpackedBytes = 16 * 1024 * 1024;

// Common text of these sections: a device's machine section shrinks to about a third. Part of the format: never edit, add a new one with a new section id.
const deflateDictionary = Buffer.from(
  '{"hostname":"","hardware":{"manufacturer":"Microsoft Corporation","LENOVO","Dell Inc.","HP","FUJITSU","model":"","serial":"","uuid":"","chassis":"notebook","desktop","virtual":false,"true,"virtualization":"kvm","cpu":{"model":"Intel(R) Core(TM) i5-1345U","Intel(R) Xeon(R) CPU @ 2.60GHz","AMD Ryzen 7 PRO","manufacturer":"GenuineIntel","AuthenticAMD","sockets":1,"cores":4,"threads":8},"memory":17179869184,"disks":[{"name":"nvme0n1","sda","model":"SAMSUNG","serial":"","size":512110190592,"type":"ssd"}],"network":[{"name":"eth0","enp0s31f6","mac":"00:50:56:","addresses":["192.168.","10.0.","fe80::"]}],"os":{"family":"windows","linux","macos","name":"Microsoft Windows 11 Pro","Debian GNU/Linux","version":"10.0.22631","12","edition":"Professional","build":"22631","arch":"x64","x86_64","kernel":"6.1.0"},"user":""},"probesVersion":1}{"installedAt":{"values":["2025-","2026-01-","T00:00:00Z"],"at":[0,1,2,-1]},"path":{"values":["C:\\\\Program Files\\\\"],"at":[]},"lastUsedAt":{"values":[],"at":[]},"size":[-1,0]}',
  "utf8",
);

export function packSection(value: unknown): Buffer {
  return deflateRawSync(JSON.stringify(value), { dictionary: deflateDictionary, level: 6 });
}

/** @throws RangeError or a zlib error where the bytes are no section or would unpack beyond the bound */
export function unpackSection(bytes: Uint8Array): unknown {
  if (bytes.length > maxSectionBytes) throw new RangeError("section too large");
  return JSON.parse(
    inflateRawSync(bytes, { dictionary: deflateDictionary, maxOutputLength: maxUnpackedBytes }).toString("utf8"),
  );
}

const noProbes = packSection([]);

export function unpackProbes(bytes: Uint8Array): readonly ProbeHit[] {
  if (noProbes.equals(bytes)) return [];
  return demand(checkProbes(unpackSection(bytes)), "probes");
}

export function unpackMachine(bytes: Uint8Array): Machine {
  return demand(checkMachine(unpackSection(bytes)), "machine");
}

function demand<T>(
  result: { ok: true; value: T } | { ok: false; faults: readonly { path: string; message: string }[] },
  what: string,
): T {
  if (result.ok) return result.value;
  const first = result.faults[0];
  throw new RangeError(`${what}${first?.path ?? ""}: ${first?.message ?? "is not valid"}`);
}

/**
 * Count, sum and exclusive-or of the title hashes (as unsigned 64-bit numbers), 20 bytes: does not depend on order, so a
 * server can keep titles in its own order and still digest a state in microseconds. It guards against loss and mix-ups; against
 * alteration the device's signature does.
 */
export function titlesSum(titles: Uint8Array): Buffer {
  let sumHigh = 0;
  let sumLow = 0;
  let xorHigh = 0;
  let xorLow = 0;
  const view = new DataView(titles.buffer, titles.byteOffset, titles.length);
  const count = Math.floor(titles.length / titleHashBytes);
  for (let at = 0; at < count * titleHashBytes; at += titleHashBytes) {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    sumHigh += high;
    sumLow += low;
    xorHigh ^= high;
    xorLow ^= low;
  }
  return packSum(count, sumHigh, sumLow, xorHigh, xorLow);
}

/** The sum's bytes, for one who holds the hashes in another form: high and low words added up (below 2^53 each) and xored. */
export function packSum(count: number, sumHigh: number, sumLow: number, xorHigh: number, xorLow: number): Buffer {
  const out = Buffer.allocUnsafe(20);
  out.writeUInt32BE(count, 0);
  out.writeUInt32BE((sumHigh + Math.floor(sumLow / word)) % word, 4);
  out.writeUInt32BE(sumLow % word, 8);
  out.writeUInt32BE(xorHigh >>> 0, 12);
  out.writeUInt32BE(xorLow >>> 0, 16);
  return out;
}
const word = 0x1_0000_0000;

/** The sum after `removed` went and `added` came (packed hashes; the caller knows that they were there and were not). */
export function changedSum(sum: Buffer, added: Uint8Array, removed: Uint8Array): Buffer {
  return movedSum(sum, titlesSum(added), titlesSum(removed));
}

/** The same by the sums of what came and of what went. */
export function movedSum(sum: Buffer, plus: Buffer, minus: Buffer): Buffer {
  const plain = (at: number): number => sum.readUInt32BE(at) + plus.readUInt32BE(at) - minus.readUInt32BE(at);
  const either = (at: number): number => sum.readUInt32BE(at) ^ plus.readUInt32BE(at) ^ minus.readUInt32BE(at);
  // Borrowed beforehand, so that nothing is negative.
  return packSum(plain(0), plain(4) + word - 1, plain(8) + word, either(12), either(16));
}

/** SHA-256 over the titles' sum and the digests of the other three sections, hex. */
export function stateDigest(state: DeviceState): string {
  return digestSections(titlesSum(state.titles), state);
}

/** The same for a holder who keeps titles in another order and has their sum. */
export function digestSections(sum: Buffer, state: Pick<DeviceState, "details" | "probes" | "machine">): string {
  return digestHashes(sum, {
    details: sha256(state.details),
    probes: sha256(state.probes),
    machine: sha256(state.machine),
  });
}

/** The same for a holder who has the sections' SHA-256 only. */
export function digestHashes(sum: Buffer, hashes: Pick<DeviceState, "details" | "probes" | "machine">): string {
  return sha256Hex(Buffer.concat([statePrefix, sum, hashes.details, hashes.probes, hashes.machine]));
}
const statePrefix = Buffer.from("daicho-state/1\n");

export interface PackedState {
  readonly state: DeviceState;
  /** Text of every title, by its hash in hex. */
  readonly texts: ReadonlyMap<string, TitleText>;
}

/** Facts → state. Deterministic: the order in which titles were found does not matter. */
export function packState(titles: readonly Title[], hits: readonly ProbeHit[], machine: Machine): PackedState {
  const steps = packStateSteps(titles, hits, machine);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same in steps, for whoever must give way in between: tens of thousands of titles take a while. */
export function* packStateSteps(
  titles: readonly Title[],
  hits: readonly ProbeHit[],
  machine: Machine,
): Generator<void, PackedState> {
  const groups = new Map<string, { hash: Buffer; text: TitleText; copies: TitleDetail[] }>();
  for (const [i, title] of titles.entries()) {
    if (i % titlesAtOnce === 0) yield;
    const text = titleText(title);
    const hash = hashTitle(text);
    const key = hash.toString("hex");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { hash, text, copies: [title] });
    else group.copies.push(title);
  }
  const sorted = [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  const copies: TitleDetail[] = [];
  for (const [i, [, group]] of sorted.entries()) {
    if (i % titlesAtOnce === 0) yield;
    for (const key of group.copies.map(detailKey).sort()) copies.push(detailFromKey(key));
  }
  const probes = [...hits].sort(
    (a, b) => compareText(a.probe, b.probe) || compareText(JSON.stringify(a), JSON.stringify(b)),
  );
  return {
    state: {
      titles: Buffer.concat(sorted.map(([, group]) => group.hash)),
      details: packSection(
        packDetails(
          sorted.map(([, group]) => group.copies.length),
          copies,
        ),
      ),
      probes: packSection(probes),
      machine: packSection(machine),
    },
    texts: new Map(sorted.map(([key, group]) => [key, group.text])),
  };
}

const titlesAtOnce = 250;

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

type DetailKey = string;
function detailKey(detail: TitleDetail): DetailKey {
  return JSON.stringify([
    detail.path ?? null,
    detail.installedAt ?? null,
    detail.size ?? null,
    detail.lastUsedAt ?? null,
  ]);
}
function detailFromKey(key: DetailKey): TitleDetail {
  const [path, installedAt, size, lastUsedAt] = JSON.parse(key) as [
    string | null,
    string | null,
    number | null,
    string | null,
  ];
  return {
    ...(path !== null && { path }),
    ...(installedAt !== null && { installedAt }),
    ...(size !== null && { size }),
    ...(lastUsedAt !== null && { lastUsedAt }),
  };
}

function packDetails(counts: readonly number[], copies: readonly TitleDetail[]): Details {
  const column = (field: "installedAt" | "path" | "lastUsedAt"): Static<typeof TextColumn> | undefined => {
    const places = new Map<string, number>();
    const at = copies.map((copy) => {
      const text = copy[field];
      if (text === undefined) return -1;
      let place = places.get(text);
      if (place === undefined) places.set(text, (place = places.size));
      return place;
    });
    return places.size === 0 ? undefined : { values: [...places.keys()], at };
  };
  const installedAt = column("installedAt");
  const path = column("path");
  const lastUsedAt = column("lastUsedAt");
  return {
    ...(counts.some((n) => n !== 1) && { copies: [...counts] }),
    ...(installedAt && { installedAt }),
    ...(path && { path }),
    ...(lastUsedAt && { lastUsedAt }),
    ...(copies.some((copy) => copy.size !== undefined) && { size: copies.map((copy) => copy.size ?? -1) }),
  };
}

/**
 * Details section → for each of `titleCount` sorted titles the facts about its copies.
 * @throws RangeError where the section does not fit the titles
 */
export function unpackDetails(bytes: Uint8Array, titleCount: number): readonly (readonly TitleDetail[])[] {
  const details: Details = demand(checkDetails(unpackSection(bytes)), "details");
  const counts = details.copies ?? new Array<number>(titleCount).fill(1);
  if (counts.length !== titleCount) throw new RangeError("details do not fit the titles");
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total > maxTitles * 2) throw new RangeError("details are of too many copies");
  for (const column of [details.installedAt?.at, details.path?.at, details.lastUsedAt?.at, details.size])
    if (column !== undefined && column.length !== total) throw new RangeError("details do not fit the titles");
  const text = (column: Static<typeof TextColumn> | undefined, i: number): string | undefined => {
    const at = column?.at[i] ?? -1;
    return at < 0 ? undefined : column?.values[at];
  };
  let next = 0;
  // A few bytes can name one long text forty thousand times.
  let room = maxUnpackedBytes;
  return counts.map((count) => {
    const copies: TitleDetail[] = [];
    for (let n = 0; n < count; n++, next++) {
      const installedAt = text(details.installedAt, next);
      const path = text(details.path, next);
      const lastUsedAt = text(details.lastUsedAt, next);
      const size = details.size?.[next] ?? -1;
      room -= (installedAt?.length ?? 0) + (path?.length ?? 0) + (lastUsedAt?.length ?? 0);
      if (room < 0) throw new RangeError("details are too long");
      copies.push({
        ...(installedAt !== undefined && { installedAt }),
        ...(size >= 0 && { size }),
        ...(path !== undefined && { path }),
        ...(lastUsedAt !== undefined && { lastUsedAt }),
      });
    }
    return copies;
  });
}

/** Titles of `to` that `from` lacks, and the other way round. Both sorted. */
export function diffTitles(from: Buffer, to: Buffer): { added: Buffer; removed: Buffer } {
  const added: Buffer[] = [];
  const removed: Buffer[] = [];
  let a = 0;
  let b = 0;
  while (a < from.length || b < to.length) {
    const order =
      a >= from.length ? 1 : b >= to.length ? -1 : from.compare(to, b, b + titleHashBytes, a, a + titleHashBytes);
    if (order <= 0 && order !== 0) removed.push(from.subarray(a, (a += titleHashBytes)));
    else if (order > 0) added.push(to.subarray(b, (b += titleHashBytes)));
    else {
      a += titleHashBytes;
      b += titleHashBytes;
    }
  }
  return { added: Buffer.concat(added), removed: Buffer.concat(removed) };
}

/**
 * The titles after a delta; `undefined` where the delta does not fit (removes what is not there, adds what is): then only
 * a full report helps.
 */
export function applyTitles(from: Buffer, added: Buffer, removed: Buffer): Buffer | undefined {
  const out = Buffer.alloc(from.length + added.length);
  let length = 0;
  let a = 0;
  let r = 0;
  for (let f = 0; f <= from.length; f += titleHashBytes) {
    while (a < added.length) {
      const order = f < from.length ? added.compare(from, f, f + titleHashBytes, a, a + titleHashBytes) : -1;
      if (order === 0) return undefined;
      if (order > 0) break;
      length += added.copy(out, length, a, (a += titleHashBytes));
    }
    if (f === from.length) break;
    if (r < removed.length && removed.compare(from, f, f + titleHashBytes, r, r + titleHashBytes) === 0)
      r += titleHashBytes;
    else length += from.copy(out, length, f, f + titleHashBytes);
  }
  return r === removed.length ? out.subarray(0, length) : undefined;
}

/** The inventory's device block and hardware as the machine section keeps them. */
export function machineOf(inventory: Inventory, probesVersion: number): Machine {
  const device: Static<typeof InventoryDevice> = inventory.device;
  return {
    hostname: device.hostname,
    ...(inventory.hardware !== undefined && { hardware: inventory.hardware }),
    probesVersion,
  };
}
