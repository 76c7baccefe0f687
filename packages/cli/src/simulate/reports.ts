/**
 * Purpose: what a device would report now, sealed: full, delta or heartbeat; and what is remembered of each device - 120 bytes:
 * generation, digest, the sum of its titles and the digest of its machine section, from which the next digest follows.
 */
import {
  canonicalJson,
  changedSum,
  digestHashes,
  packSection,
  sealEnvelope,
  sha256,
  stateDigest,
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
  /** Of its titles; absent where they are as before. */
  readonly sum?: Buffer;
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
  const sums = Buffer.alloc(options.devices * 20);
  const machines = Buffer.alloc(options.devices * 32);
  const evidences = Buffer.alloc(options.devices * 16);
  /** For which devices these are filled in. */
  const recalled = new Uint8Array(options.devices);
  const raised = new Map<number, number>();
  let seq = 0;

  /** Worked out from the seed once for each device, then carried on from report to report. */
  function recall(device: number): void {
    if (recalled[device] === 1) return;
    const generation = generations[device] ?? 0;
    const { details, probes } = fleet.sectionsOf(device, generation);
    const machine = fleet.machineHash(device);
    const sum = fleet.sumOf(device, generation);
    sum.copy(sums, device * 20);
    machine.copy(machines, device * 32);
    const { serial, uuid, macs } = fleet.evidence(device);
    sha256(canonicalJson({ serial, uuid, macs })).copy(evidences, device * 16, 0, 16);
    digests.write(digestHashes(sum, { details, probes, machine }), device * 32, "hex");
    recalled[device] = 1;
  }
  const digestOf = (device: number): Buffer => {
    recall(device);
    return digests.subarray(device * 32, device * 32 + 32);
  };

  function seal(device: number, head: Pick<ReportHeader, "kind" | "state" | "base">, sections: Sections): Buffer {
    const signer = identities.signer(device);
    recall(device);
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
      evidence: evidences.toString("hex", device * 16, device * 16 + 16),
    };
    return sealEnvelope(header, sections, signer);
  }

  const textsOf = (ranks: readonly number[]): Buffer => packSection(ranks.map((rank) => fleet.textOf(rank)));

  return {
    full(device, which, ranks = fleet.titlesOf(device, generations[device] ?? 0)) {
      const generation = generations[device] ?? 0;
      const state = fleet.stateOf(device, generation, ranks);
      const texts = which === "all" ? [...ranks] : known.unknownOf(ranks);
      const sections: Sections = { ...state, ...(texts.length > 0 && { texts: textsOf(texts) }) };
      const digest = stateDigest(state);
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
      const [titlesAdded, titlesRemoved] = [fleet.pack(added), fleet.pack(removed)];
      const sum = changedSum(sums.subarray(device * 20, device * 20 + 20), titlesAdded, titlesRemoved);
      const { detailsBytes, details, probes } = fleet.sectionsOf(device, generation);
      const machine = machines.subarray(device * 32, device * 32 + 32);
      const digest = digestHashes(sum, { details, probes, machine });
      const sections: Sections = { titlesAdded, titlesRemoved, texts: textsOf([...added]), details: detailsBytes };
      const envelope = seal(device, { kind: "delta", base, state: digest }, sections);
      return {
        device,
        kind: "delta",
        generation,
        digest: Buffer.from(digest, "hex"),
        sum,
        envelope,
        texts: [...added],
      };
    },
    settled({ device, generation, digest, sum, texts }) {
      generations[device] = generation;
      digest.copy(digests, device * 32);
      sum?.copy(sums, device * 20);
      known.learn(texts);
    },
    generationOf: (device) => generations[device] ?? 0,
    raiseEpoch(device) {
      const now = Math.floor(options.now());
      raised.set(device, Math.max(now, (raised.get(device) ?? options.epoch) + 1));
    },
  };
}
