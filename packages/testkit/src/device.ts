/**
 * Purpose: a device for tests: a real key, real signed envelopes, the state kept as an agent keeps it. No agent code is involved, so a
 * mistake of the agent cannot hide one of the server.
 */
import {
  createSigner,
  diffTitles,
  generateKeyPair,
  packSection,
  packState,
  sealEnvelope,
  stateDigest,
  type PackedState,
  type ProbeHit,
  type ReportKind,
  type Sections,
  type Signer,
  type Title,
} from "@daicho/protocol";

export interface TestDevice {
  readonly id: string;
  readonly signer: Signer;
  epoch: number;
  seq: number;
  evidence: string | undefined;
  /** Sets what is installed; the next report tells. */
  install(titles: readonly Title[], hits?: readonly ProbeHit[]): void;
  report(kind: ReportKind, options?: { readonly texts?: boolean; readonly at?: number }): Buffer;
  readonly titles: readonly Title[];
}

export function createTestDevice(hostname: string, pair = generateKeyPair()): TestDevice {
  const signer = createSigner(pair);
  let titles: readonly Title[] = [];
  let now: PackedState = packState([], [], { hostname, probesVersion: 0 });
  let told: PackedState | undefined;
  let clock = Date.parse("2026-01-01T00:00:00Z");
  const device: TestDevice = {
    id: signer.keyId,
    signer,
    epoch: 1,
    seq: 0,
    evidence: "e1",
    get titles() {
      return titles;
    },
    install(next, hits = []) {
      titles = next;
      now = packState(next, hits, { hostname, hardware: { cpu: { cores: 4, sockets: 1 } }, probesVersion: 1 });
    },
    report(kind, { texts = true, at } = {}) {
      clock += 1000;
      device.seq++;
      const { added, removed } = diffTitles(told?.state.titles ?? Buffer.alloc(0), now.state.titles);
      const sections: Sections =
        kind === "heartbeat"
          ? {}
          : kind === "full"
            ? { ...now.state, ...(texts && { texts: packSection([...now.texts.values()]) }) }
            : {
                titlesAdded: added,
                titlesRemoved: removed,
                texts: packSection([...now.texts.values()]),
                details: now.state.details,
                probes: now.state.probes,
              };
      const base = told === undefined ? undefined : stateDigest(told.state);
      if (kind !== "heartbeat") told = now;
      return sealEnvelope(
        {
          device: signer.keyId,
          epoch: device.epoch,
          seq: device.seq,
          kind,
          ...(kind === "delta" && base !== undefined && { base }),
          state: stateDigest(now.state),
          dictionary: 1,
          at: new Date(at ?? clock).toISOString(),
          ...(device.evidence !== undefined && { evidence: device.evidence }),
        },
        sections,
        signer,
      );
    },
  };
  return device;
}
