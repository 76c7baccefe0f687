/**
 * Purpose: which title probes a title satisfies - the hottest function of agent and server, asked for every title of
 * every inventory.
 *
 * Every probe hangs at one anchor, the most telling thing it asks for: the exact name, the beginning of a name glob, its
 * end, a piece of its middle, an exact identifier or publisher; only what has none of these is tried on every title.
 * A title looks up its own anchors and tests only the probes it finds there.
 *
 * Invariants: the answer does not depend on the order of titles or probes; it is ascending and without repetition.
 */
import { compileGlob, type Glob, type Title } from "@daicho/protocol";
import { packageManagers, type Probe } from "../language/probes.ts";
import { compileComparisons, type Test } from "./compare.ts";
import { foldName } from "./names.ts";

export type TitleMatcher = (title: Title) => readonly number[];

type Slot = "name" | "version" | "publisher" | "identifier" | "source";

const slotOf: Readonly<Record<string, Slot>> = {
  name: "name",
  version: "version",
  publisher: "publisher",
  creator: "publisher",
  bundle: "identifier",
  tagId: "identifier",
  manager: "source",
};

interface TitleProbe {
  readonly index: number;
  readonly accepts: (source: string) => boolean;
  readonly tests: readonly { readonly slot: Slot; readonly test: Test }[];
}

/** A title with its text folded; `publisher` and `identifier` only when first asked for. */
interface View {
  title: Title;
  name: string;
  publisher: string | undefined;
  identifier: string | undefined;
}

interface TrieNode {
  next: Map<number, TrieNode> | undefined;
  probes: TitleProbe[] | undefined;
}

const managers: ReadonlySet<string> = new Set(packageManagers);
const anySource = (): boolean => true;
const none: readonly number[] = [];

/** Takes all probes of a dictionary and answers with their indexes; machine probes are passed over. */
export function createTitleMatcher(probes: readonly Probe[]): TitleMatcher {
  const byName = new Map<string, TitleProbe[]>();
  const byIdentifier = new Map<string, TitleProbe[]>();
  const byPublisher = new Map<string, TitleProbe[]>();
  const byPrefix: TrieNode = { next: undefined, probes: undefined };
  const bySuffix: TrieNode = { next: undefined, probes: undefined };
  const byPiece = createPieceIndex();
  const anywhere: TitleProbe[] = [];

  for (const [index, probe] of probes.entries()) if (probe.kind === "title") hang(probe, compileProbe(probe, index));

  function hang(probe: Probe, compiled: TitleProbe): void {
    const exact = (field: string): string | undefined => {
      const value = probe.comparisons.find((c) => c.op === "=" && slotOf[c.field] === field)?.value;
      return value === undefined ? undefined : foldName(value);
    };
    const name = exact("name");
    if (name !== undefined) return push(byName, name, compiled);
    const identifier = exact("identifier");
    if (identifier !== undefined) return push(byIdentifier, identifier, compiled);
    const glob = bestGlob(probe);
    if (glob?.literal === true) return push(byName, glob.pattern, compiled);
    if (glob !== undefined && glob.prefix.length >= glob.suffix.length && glob.prefix !== "") {
      return hangInTrie(byPrefix, glob.prefix, compiled);
    }
    if (glob !== undefined && glob.suffix !== "") return hangInTrie(bySuffix, reversed(glob.suffix), compiled);
    const publisher = exact("publisher");
    if (publisher !== undefined) return push(byPublisher, publisher, compiled);
    if (glob !== undefined && byPiece.add(glob.inner, compiled)) return;
    anywhere.push(compiled);
  }

  const view: View = {
    title: { name: "", version: "", source: "" },
    name: "",
    publisher: undefined,
    identifier: undefined,
  };
  byPiece.build();

  return (title) => {
    view.title = title;
    const name = (view.name = foldName(title.name));
    view.publisher = undefined;
    view.identifier = undefined;
    let found: number[] | undefined;
    const tryAll = (candidates: readonly TitleProbe[] | undefined): void => {
      if (candidates === undefined) return;
      for (const probe of candidates) if (isMet(probe, view)) (found ??= []).push(probe.index);
    };

    tryAll(byName.get(name));
    for (let node: TrieNode | undefined = byPrefix, i = 0; node !== undefined; i++) {
      if (node.probes !== undefined) tryAll(node.probes);
      node = i < name.length ? node.next?.get(name.charCodeAt(i)) : undefined;
    }
    for (let node: TrieNode | undefined = bySuffix, i = name.length - 1; node !== undefined; i--) {
      if (node.probes !== undefined) tryAll(node.probes);
      node = i >= 0 ? node.next?.get(name.charCodeAt(i)) : undefined;
    }
    byPiece.eachCandidates(name, tryAll);
    if (byIdentifier.size > 0 && title.identifier !== undefined) tryAll(byIdentifier.get(identifierOf(view)));
    if (byPublisher.size > 0 && title.publisher !== undefined) tryAll(byPublisher.get(publisherOf(view)));
    tryAll(anywhere);
    return found === undefined ? none : found.length === 1 ? found : [...new Set(found)].sort((a, b) => a - b);
  };
}

function compileProbe(probe: Probe, index: number): TitleProbe {
  const tests = compileComparisons(probe.name, probe.comparisons);
  return {
    index,
    accepts:
      probe.name === "package" ? (s) => managers.has(s) : probe.name === "swid" ? (s) => s === "swid" : anySource,
    tests: probe.comparisons.map((c, i) => ({ slot: slotOf[c.field] ?? "name", test: tests[i] ?? (() => false) })),
  };
}

function isMet(probe: TitleProbe, view: View): boolean {
  const { source } = view.title;
  if (!probe.accepts(source)) return false;
  for (const { slot, test } of probe.tests) {
    const found = fieldOf(view, slot);
    if (found === "" || !test(found, source)) return false;
  }
  return true;
}

/** Folded as its comparison expects it; empty when the title lacks it. */
function fieldOf(view: View, slot: Slot): string {
  switch (slot) {
    case "name":
      return view.name;
    case "version":
      return view.title.version;
    case "source":
      return view.title.source;
    case "publisher":
      return publisherOf(view);
    case "identifier":
      return identifierOf(view);
  }
}

function publisherOf(view: View): string {
  return (view.publisher ??= foldName(view.title.publisher ?? ""));
}

function identifierOf(view: View): string {
  return (view.identifier ??= foldName(view.title.identifier ?? ""));
}

/** Of several globs on the name, the one that tells most. */
function bestGlob(probe: Probe): Glob | undefined {
  let best: Glob | undefined;
  for (const c of probe.comparisons) {
    if (c.op !== "~" || slotOf[c.field] !== "name") continue;
    const glob = compileGlob(foldName(c.value));
    if (best === undefined || weight(glob) > weight(best)) best = glob;
  }
  return best;
}

function weight(glob: Glob): number {
  return glob.literal ? Infinity : Math.max(glob.prefix.length, glob.suffix.length) * 2 + glob.inner.length;
}

function push(map: Map<string, TitleProbe[]>, key: string, probe: TitleProbe): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [probe]);
  else list.push(probe);
}

function hangInTrie(root: TrieNode, key: string, probe: TitleProbe): void {
  let node = root;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    node.next ??= new Map();
    let next = node.next.get(code);
    if (next === undefined) node.next.set(code, (next = { next: undefined, probes: undefined }));
    node = next;
  }
  (node.probes ??= []).push(probe);
}

const pieceLength = 3;
const filterSize = 8192;

interface PieceIndex {
  /** False when the text is too short to be found by a piece of it. */
  add(text: string, probe: TitleProbe): boolean;
  build(): void;
  eachCandidates(name: string, visit: (candidates: readonly TitleProbe[]) => void): void;
}

/**
 * Finds globs by a piece of three characters of their literal middle, the one that the fewest globs have. A piece is a
 * hash: two that collide cost a test that fails, nothing else. A small table tells most names' pieces apart at once.
 */
function createPieceIndex(): PieceIndex {
  const waiting: { readonly text: string; readonly probe: TitleProbe }[] = [];
  const byHash = new Map<number, TitleProbe[]>();
  const filter = new Uint8Array(filterSize);
  const hashAt = (text: string, i: number): number =>
    (Math.imul(Math.imul(text.charCodeAt(i), 0x2f0b) + text.charCodeAt(i + 1), 0x2f0b) + text.charCodeAt(i + 2)) | 0;
  const slotOfHash = (hash: number): number => (Math.imul(hash, 0x9e3779b1) >>> 16) & (filterSize - 1);
  return {
    add(text, probe) {
      if (text.length < pieceLength) return false;
      waiting.push({ text, probe });
      return true;
    },
    build() {
      const frequency = new Map<number, number>();
      for (const { text } of waiting) {
        for (let i = 0; i + pieceLength <= text.length; i++) {
          const hash = hashAt(text, i);
          frequency.set(hash, (frequency.get(hash) ?? 0) + 1);
        }
      }
      for (const { text, probe } of waiting) {
        let rarest = hashAt(text, 0);
        for (let i = 1; i + pieceLength <= text.length; i++) {
          const hash = hashAt(text, i);
          if ((frequency.get(hash) ?? 0) < (frequency.get(rarest) ?? 0)) rarest = hash;
        }
        filter[slotOfHash(rarest)] = 1;
        const list = byHash.get(rarest);
        if (list === undefined) byHash.set(rarest, [probe]);
        else list.push(probe);
      }
    },
    eachCandidates(name, visit) {
      if (byHash.size === 0) return;
      for (let i = 0; i + pieceLength <= name.length; i++) {
        const hash = hashAt(name, i);
        if (filter[slotOfHash(hash)] === 0) continue;
        const candidates = byHash.get(hash);
        if (candidates !== undefined) visit(candidates);
      }
    },
  };
}

function reversed(text: string): string {
  let result = "";
  for (let i = text.length - 1; i >= 0; i--) result += text[i] ?? "";
  return result;
}
