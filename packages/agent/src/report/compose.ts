/**
 * Purpose: facts → the sections of one report. Pure. A full report carries all four sections of the state, a delta only what differs
 * from its base, a heartbeat none; texts and scan information travel along and are no part of the state.
 */
import {
  diffTitles,
  eachHash,
  packSection,
  packState,
  sha256Hex,
  stateDigest,
  type PackedState,
  type Sections,
  type TitleText,
} from "@daicho/protocol";
import type { Facts } from "./facts.ts";
import { machineSection } from "./facts.ts";
import type { Base } from "./journal.ts";

/** Scan errors beyond this stay on the machine; `daicho agent scan` shows them all. */
const maxErrors = 500;

export function pack(facts: Facts): PackedState {
  return packState(facts.inventory.software, facts.hits, machineSection(facts));
}

export function baseOf({ state }: PackedState): Base {
  return {
    titles: state.titles.toString("base64"),
    details: sha256Hex(state.details),
    probes: sha256Hex(state.probes),
    machine: sha256Hex(state.machine),
    digest: stateDigest(state),
  };
}

/** `unknown`: hashes whose texts to send; absent = all. */
export function fullSections(packed: PackedState, facts: Facts, unknown?: Buffer): Sections {
  const { state } = packed;
  return {
    titles: state.titles,
    details: state.details,
    probes: state.probes,
    machine: state.machine,
    texts: packTexts(packed, unknown ?? state.titles),
    ...scanSection(facts),
  };
}

export function deltaSections(base: Base, packed: PackedState, facts: Facts): Sections {
  const { state } = packed;
  const { added, removed } = diffTitles(Buffer.from(base.titles, "base64"), state.titles);
  const changed = (name: "details" | "probes" | "machine"): boolean => sha256Hex(state[name]) !== base[name];
  return {
    ...(added.length > 0 && { titlesAdded: added, texts: packTexts(packed, added) }),
    ...(removed.length > 0 && { titlesRemoved: removed }),
    ...(changed("details") && { details: state.details }),
    ...(changed("probes") && { probes: state.probes }),
    ...(changed("machine") && { machine: state.machine }),
    ...scanSection(facts),
  };
}

function packTexts(packed: PackedState, hashes: Buffer): Buffer {
  const texts: TitleText[] = [];
  for (const hash of eachHash(hashes)) {
    const text = packed.texts.get(hash.toString("hex"));
    if (text !== undefined) texts.push(text);
  }
  return packSection(texts);
}

function scanSection(facts: Facts): Sections {
  const { scan } = facts.inventory;
  return scan === undefined ? {} : { scan: packSection({ ...scan, errors: scan.errors.slice(0, maxErrors) }) };
}
