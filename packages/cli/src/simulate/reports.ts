/**
 * Purpose: what a device would report now, sealed: full, delta or heartbeat; and what is remembered of each device - 37 bytes:
 * generation, digest, whether the server is known to hold it.
 */
import {
  packSection,
  sealEnvelope,
  sha256Hex,
  canonicalJson,
  type ReportHeader,
  type Sections,
} from "@daicho/protocol";
import type { Fleet } from "./fleet.ts";
import type { Identities } from "./identities.ts";
import type { KnownTitles } from "./titles.ts";

export interface Outgoing {
  readonly device: number;
  readonly kind: ReportHeader["kind"];
  readonly generation: number;
  readonly digest: Buffer;
  readonly envelope: Buffer;
  /** Ranks whose texts go along. */
  readonly texts: readonly number[];
}

export interface Reports {
  /** `ranks`: the device's titles, where the caller has them already. */
  full(device: number, texts: "unknown" | "all", ranks?: Uint32Array): Outgoing;
  heartbeat(device: number): Outgoing;
  delta(device: number): Outgoing;
  /** The server holds this now. */
  settled(report: Outgoing): void;
  generationOf(device: number): number;
  /** The device's own count went back: it starts a new epoch, above what the server may hold. */
  raiseEpoch(device: number): void;
}

export function createReports(options: {
  readonly fleet: Fleet;
  readonly identities: Identities;
  readonly known: KnownTitles;
  readonly devices: number;
  /** Start of the run, milliseconds: a later run is a higher epoch. */
  readonly epoch: number;
  readonly now: () => number;
}): Reports {
  const { fleet, identities, known } = options;
  const generations = new Uint16Array(options.devices);
  const digests = Buffer.alloc(options.devices * 32);
  const hasDigest = new Uint8Array(options.devices);
  const raised = new Map<number, number>();
  let seq = 0;

  function digestOf(device: number): Buffer {
    const at = device * 32;
    if (hasDigest[device] !== 1) {
      const state = fleet.stateOf(device, generations[device] ?? 0);
      digests.write(fleet.digestOf(state), at, "hex");
      hasDigest[device] = 1;
    }
    return digests.subarray(at, at + 32);
  }

  function seal(device: number, head: Pick<ReportHeader, "kind" | "state" | "base">, sections: Sections): Buffer {
    const signer = identities.signer(device);
    const { serial, uuid, macs } = fleet.evidence(device);
    const at = new Date(options.now()).toISOString();
    const header = {
      device: signer.keyId,
      epoch: raised.get(device) ?? options.epoch,
      // One count for the whole fleet: it rises for each device, which is all that counts.
      seq: ++seq,
      ...head,
      dictionary: 0,
      at,
      scannedAt: at,
      evidence: sha256Hex(canonicalJson({ serial, uuid, macs })).slice(0, 32),
    };
    return sealEnvelope(header, sections, signer);
  }

  const textsOf = (ranks: readonly number[]): Buffer => packSection(ranks.map((rank) => fleet.textOf(rank)));

  return {
    full(device, which, ranks = fleet.titlesOf(device, generations[device] ?? 0)) {
      const generation = generations[device] ?? 0;
      const state = fleet.stateOf(device, generation, ranks);
      const digest = fleet.digestOf(state);
      const texts = which === "all" ? [...ranks] : known.unknownOf(ranks);
      const sections: Sections = { ...state, ...(texts.length > 0 && { texts: textsOf(texts) }) };
      const envelope = seal(device, { kind: "full", state: digest }, sections);
      return { device, kind: "full", generation, digest: Buffer.from(digest, "hex"), envelope, texts };
    },
    heartbeat(device) {
      const digest = Buffer.from(digestOf(device));
      const envelope = seal(device, { kind: "heartbeat", state: digest.toString("hex") }, {});
      return { device, kind: "heartbeat", generation: generations[device] ?? 0, digest, envelope, texts: [] };
    },
    delta(device) {
      const base = digestOf(device).toString("hex");
      const generation = ((generations[device] ?? 0) + 1) & 0xffff;
      const { added, removed } = fleet.changeTo(device, generation);
      const state = fleet.stateOf(device, generation);
      const digest = fleet.digestOf(state);
      const texts = known.unknownOf(added);
      const sections: Sections = {
        titlesAdded: fleet.pack(added),
        titlesRemoved: fleet.pack(removed),
        texts: textsOf(texts.length > 0 ? texts : [...added]),
        details: state.details,
      };
      const envelope = seal(device, { kind: "delta", base, state: digest }, sections);
      return { device, kind: "delta", generation, digest: Buffer.from(digest, "hex"), envelope, texts: [...added] };
    },
    settled({ device, generation, digest, texts }) {
      generations[device] = generation;
      digest.copy(digests, device * 32);
      hasDigest[device] = 1;
      known.learn(texts);
    },
    generationOf: (device) => generations[device] ?? 0,
    raiseEpoch(device) {
      const now = Math.floor(options.now());
      raised.set(device, Math.max(now, (raised.get(device) ?? options.epoch) + 1));
    },
  };
}
