/**
 * Purpose: the made-up fleet: thirty profiles in twelve update waves, Zipf-distributed titles of its own on each device, and what each
 * device reports at each generation. Nothing is kept per device: everything is derived again from the seed, so that a million
 * devices fit in memory, and a second run with the same seed is the same fleet.
 *
 * A device's titles are its profile's at its wave, and a window onto an endless sequence of draws of its own. A change moves
 * the window by five, or by all it has: as many titles go, as many come. Draw j is made among the titles j mod `classes`, with more classes
 * than a window has draws, so a window never holds a title twice.
 */
import {
  hashTitle,
  packSection,
  sha256,
  titlesSum,
  titleHashBytes,
  type DeviceState,
  type MachineEvidence,
  type TitleText,
} from "@daicho/protocol";
import { inventedTitle, realProducts, realTitle, waves } from "./products.ts";
import { derive, fraction, mix, seedNumber, zipf } from "./random.ts";

export const titlesPerChange = 5;
const profiles = 30;
const realPerDevice = 21;
const noTitles = 4_294_967_295;

export interface Fleet {
  /** Distinct titles in all. */
  readonly distinct: number;
  /** Ranks (places in the order of hashes) of the titles a device has, ascending. */
  titlesOf(device: number, generation: number): Uint32Array;
  /** What a change from the generation before adds and takes away. */
  changeTo(device: number, generation: number): { readonly added: Uint32Array; readonly removed: Uint32Array };
  /** Packed hashes of ranks. */
  pack(ranks: Uint32Array): Buffer;
  textOf(rank: number): TitleText;
  /** Ranks of packed hashes that are of this fleet. */
  ranksOf(packed: Uint8Array): readonly number[];
  /** `ranks`: its titles, where the caller has them already. */
  stateOf(device: number, generation: number, ranks?: Uint32Array): DeviceState;
  /** Of its titles; what it has at the next generation follows from `changeTo`. */
  sumOf(device: number, generation: number): Buffer;
  /** The details as they are sent, and the SHA-256 of the sections that many devices share. */
  sectionsOf(
    device: number,
    generation: number,
  ): { readonly detailsBytes: Buffer; readonly details: Buffer; readonly probes: Buffer };
  machineHash(device: number): Buffer;
  hostname(device: number): string;
  evidence(device: number): MachineEvidence;
}

export function createFleet(options: { readonly seed: string; readonly titles: number }): Fleet {
  const seed = seedNumber(options.seed);
  const own = Math.min(options.titles, Math.max(titlesPerChange * 2, Math.round(options.titles / 7)));
  const real = Math.min(realPerDevice, options.titles - own);
  const shared = options.titles - own - real;
  const step = Math.min(titlesPerChange, own);
  const sharedProducts = Math.max(1_600, shared * 2);
  const classes = own + titlesPerChange * 2 + 1;
  const perClass = Math.max(16, Math.ceil(40_000 / classes));

  const realAt = 0;
  const sharedAt = realAt + realProducts.length * waves;
  const ownAt = sharedAt + sharedProducts * waves;
  const distinct = ownAt + classes * perClass;
  const textAt = (title: number): TitleText => {
    if (title < sharedAt) return realTitle(Math.floor(title / waves), title % waves);
    const invented = title - sharedAt;
    return inventedTitle(Math.floor(invented / waves), invented % waves);
  };
  const { words, titleAt, rankAt } = sortByHash(distinct, textAt);
  const hashView = new DataView(words.buffer, words.byteOffset, words.byteLength);

  const templates = new Map<number, Uint32Array>();
  function template(kind: number): Uint32Array {
    let ranks = templates.get(kind);
    if (ranks === undefined) templates.set(kind, (ranks = makeTemplate(Math.floor(kind / waves), kind % waves)));
    return ranks;
  }

  /** The titles of a profile at a wave. Not every product has a new version in every wave. */
  function makeTemplate(profile: number, wave: number): Uint32Array {
    const chosen = new Set<number>();
    const versionOf = (product: number): number => {
      const every = 1 + (mix(seed, product, 1) % 4);
      return Math.floor((wave + (product % every)) / every) % waves;
    };
    for (let i = 0; chosen.size < real; i++) {
      // The first eight are everywhere; the others belong to trades.
      const product = i < 8 ? i : 8 + (mix(seed, profile, 100 + i) % (realProducts.length - 8));
      chosen.add(rankAt[realAt + product * waves + versionOf(product)] ?? 0);
    }
    // Profiles differ in size, as machines do.
    const wanted = chosen.size + Math.round(shared * (0.92 + 0.16 * fraction(seed, profile, 2)));
    for (let i = 0; chosen.size < wanted; i++) {
      const product =
        i < shared / 3
          ? i
          : i < 40 * shared
            ? zipf(sharedProducts, fraction(seed, profile, 1_000 + i))
            : i % sharedProducts;
      chosen.add(rankAt[sharedAt + product * waves + versionOf(product)] ?? 0);
    }
    return Uint32Array.from(chosen).sort();
  }

  function kindOf(device: number): number {
    // Most machines are at the newest waves.
    const wave = waves - 1 - zipf(waves, fraction(seed, device, 3));
    return zipf(profiles, fraction(seed, device, 4)) * waves + wave;
  }

  function draws(device: number, from: number, count: number): Uint32Array {
    const ranks = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const draw = from + i;
      const nth = zipf(perClass, fraction(seed ^ 0x5bd1e995, device, draw));
      ranks[i] = rankAt[ownAt + nth * classes + (draw % classes)] ?? 0;
    }
    return ranks.sort();
  }

  const titlesOf = (device: number, generation: number): Uint32Array =>
    merge(template(kindOf(device)), draws(device, generation * step, own));

  function pack(ranks: Uint32Array): Buffer {
    const out = new Uint32Array(ranks.length * 2);
    for (let i = 0; i < ranks.length; i++) {
      const at = (ranks[i] ?? 0) * 2;
      out[i * 2] = words[at] ?? 0;
      out[i * 2 + 1] = words[at + 1] ?? 0;
    }
    return Buffer.from(out.buffer);
  }

  // One per profile, wave and generation: on real machines, too, install dates lie on a few days that whole groups share.
  const details = new Map<string, { readonly bytes: Buffer; readonly hash: Buffer }>();
  function detailsOf(device: number, generation: number): { readonly bytes: Buffer; readonly hash: Buffer } {
    const kind = kindOf(device);
    const key = `${kind}.${generation}`;
    let made = details.get(key);
    if (made === undefined) {
      if (details.size > 4_096) details.clear();
      const bytes = makeDetails(kind, generation, titlesOf(device, generation).length);
      details.set(key, (made = { bytes, hash: sha256(bytes) }));
    }
    return made;
  }
  function makeDetails(kind: number, generation: number, count: number): Buffer {
    const at = Array.from({ length: count }, (_, i) => {
      const recent = mix(seed ^ generation, kind, i) % count < titlesPerChange * Math.min(generation, 8);
      return recent ? installDays.length : zipf(installDays.length, fraction(seed, kind, 5_000 + i));
    });
    // protocol/state.ts: which day each copy has, as places in a list of days.
    return packSection({ installedAt: { values: [...installDays, dayOf(30 + generation)], at } });
  }

  function hostname(device: number): string {
    return `sim-${String(device).padStart(6, "0")}`;
  }
  function evidence(device: number): MachineEvidence {
    const hex = derive(options.seed, "machine", device).toString("hex");
    const uuid = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
    const macs = [`02:${(hex.slice(32, 42).match(/../g) ?? []).join(":")}`];
    return { hostname: hostname(device), serial: `SIM${hex.slice(42, 58).toUpperCase()}`, uuid, macs };
  }
  function machine(device: number): Buffer {
    const { serial, uuid, macs } = evidence(device);
    const model = mix(seed, device, 6) % models.length;
    return packSection({
      hostname: hostname(device),
      hardware: {
        ...models[model],
        serial,
        uuid,
        chassis: "notebook",
        virtual: false,
        cpu: { model: "Intel(R) Core(TM) i5-1345U", manufacturer: "GenuineIntel", sockets: 1, cores: 10, threads: 12 },
        memory: 17_179_869_184,
        disks: [{ name: "nvme0n1", model: "SAMSUNG MZVL2512", size: 512_110_190_592, type: "ssd" }],
        network: [
          { name: "eth0", mac: macs?.[0], addresses: [`10.${device >> 16}.${(device >> 8) & 255}.${device & 255}`] },
        ],
        os: {
          family: "windows",
          name: "Microsoft Windows 11 Pro",
          version: "10.0.22631",
          edition: "Professional",
          arch: "x64",
        },
        user: `user${device}`,
      },
      probesVersion: 0,
    });
  }
  const probes = packSection([]);
  const probesHash = sha256(probes);

  return {
    distinct,
    titlesOf,
    changeTo: (device, generation) => ({
      removed: draws(device, (generation - 1) * step, step),
      added: draws(device, (generation - 1) * step + own, step),
    }),
    pack,
    textOf: (rank) => textAt(titleAt[rank] ?? 0),
    ranksOf(packed) {
      const ranks: number[] = [];
      const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
      for (let at = 0; at + titleHashBytes <= packed.length; at += titleHashBytes) {
        const rank = find(hashView, view.getUint32(at), view.getUint32(at + 4));
        if (rank !== noTitles) ranks.push(rank);
      }
      return ranks;
    },
    stateOf(device, generation, ranks = titlesOf(device, generation)) {
      const details = detailsOf(device, generation).bytes;
      return { titles: pack(ranks), details, probes, machine: machine(device) };
    },
    sumOf: (device, generation) => titlesSum(pack(titlesOf(device, generation))),
    sectionsOf(device, generation) {
      const { bytes, hash } = detailsOf(device, generation);
      return { detailsBytes: bytes, details: hash, probes: probesHash };
    },
    machineHash: (device) => sha256(machine(device)),
    hostname,
    evidence,
  };
}

const dayOf = (n: number): string => new Date(Date.UTC(2026, 0, 5 + n * 9)).toISOString().slice(0, 10);
const installDays = Array.from({ length: 8 }, (_, n) => dayOf(n));

const models = [
  { manufacturer: "LENOVO", model: "ThinkPad X1 Carbon Gen 11" },
  { manufacturer: "Dell Inc.", model: "Latitude 5440" },
  { manufacturer: "HP", model: "HP EliteBook 640 14 inch G9 Notebook PC" },
  { manufacturer: "FUJITSU", model: "LIFEBOOK U9313" },
];

interface Sorted {
  /** Eight bytes per title as two words in the order of memory, by rank. */
  readonly words: Uint32Array;
  readonly titleAt: Uint32Array;
  readonly rankAt: Uint32Array;
}

function sortByHash(count: number, textAt: (title: number) => TitleText): Sorted {
  const hashes = Buffer.alloc(count * titleHashBytes);
  for (let title = 0; title < count; title++) hashTitle(textAt(title)).copy(hashes, title * titleHashBytes);
  const high = new Float64Array(count);
  // 53 bits order all but astronomically unlikely neighbours; those fall back to the bytes.
  for (let title = 0; title < count; title++)
    high[title] = hashes.readUInt32BE(title * 8) * 0x20_0000 + (hashes.readUInt32BE(title * 8 + 4) >>> 11);
  const titleAt = Uint32Array.from({ length: count }, (_, i) => i).sort(
    (a, b) => (high[a] ?? 0) - (high[b] ?? 0) || hashes.compare(hashes, b * 8, b * 8 + 8, a * 8, a * 8 + 8),
  );
  const sorted = Buffer.alloc(count * titleHashBytes);
  const rankAt = new Uint32Array(count);
  for (let rank = 0; rank < count; rank++) {
    const title = titleAt[rank] ?? 0;
    rankAt[title] = rank;
    hashes.copy(sorted, rank * 8, title * 8, title * 8 + 8);
  }
  return { words: new Uint32Array(sorted.buffer, sorted.byteOffset, count * 2), titleAt, rankAt };
}

function find(view: DataView, high: number, low: number): number {
  let from = 0;
  let to = view.byteLength / titleHashBytes - 1;
  while (from <= to) {
    const middle = (from + to) >>> 1;
    const order = view.getUint32(middle * 8) - high || view.getUint32(middle * 8 + 4) - low;
    if (order === 0) return middle;
    if (order < 0) from = middle + 1;
    else to = middle - 1;
  }
  return noTitles;
}

function merge(a: Uint32Array, b: Uint32Array): Uint32Array {
  const out = new Uint32Array(a.length + b.length);
  let i = 0;
  let j = 0;
  for (let at = 0; at < out.length; at++) {
    const x = i < a.length ? (a[i] ?? 0) : noTitles;
    const y = j < b.length ? (b[j] ?? 0) : noTitles;
    if (x <= y) i++;
    else j++;
    out[at] = Math.min(x, y);
  }
  return out;
}
