/**
 * Purpose: the department tree - cycles, subtrees and the roll-up of counts over it (domain.md §4, contract.md `rollup`).
 * Invariants: nothing here recurses, so a chain of any depth is safe; a parent that is not among the departments makes a root; each department
 * of an acyclic tree is in exactly one subtree of each of its ancestors, so the roll-ups of all roots add up to everything.
 */
import { addCounts, noCounts, type Counts } from "./counts.ts";

/** The departments of one cycle in walking order (a → b → … → a), or undefined where there is none. */
export function findCycle<K>(parents: ReadonlyMap<K, K | null>): readonly K[] | undefined {
  const done = new Set<K>();
  for (const start of parents.keys()) {
    const path = new Set<K>();
    for (let at: K | null | undefined = start; at !== null && at !== undefined && !done.has(at); at = parents.get(at)) {
      if (path.has(at)) {
        const walked = [...path];
        return walked.slice(walked.indexOf(at));
      }
      path.add(at);
    }
    for (const node of path) done.add(node);
  }
  return undefined;
}

export function childrenOf<K>(parents: ReadonlyMap<K, K | null>): ReadonlyMap<K, readonly K[]> {
  const children = new Map<K, K[]>();
  for (const [node, parent] of parents) {
    if (parent === null) continue;
    const list = children.get(parent);
    if (list === undefined) children.set(parent, [node]);
    else list.push(node);
  }
  return children;
}

/** The department itself and everything below it. */
export function subtree<K>(children: ReadonlyMap<K, readonly K[]>, root: K): K[] {
  const out = [root];
  const seen = new Set(out);
  for (let i = 0; i < out.length; i++)
    for (const child of children.get(out[i] as K) ?? [])
      if (!seen.has(child)) {
        seen.add(child);
        out.push(child);
      }
  return out;
}

/** For every department the sum over its subtree. @throws RangeError on a cycle, which no stored tree has. */
export function rollUp<K>(parents: ReadonlyMap<K, K | null>, counts: ReadonlyMap<K, Counts>): Map<K, Counts> {
  const waiting = new Map<K, number>();
  for (const parent of parents.values())
    if (parent !== null && parents.has(parent)) waiting.set(parent, (waiting.get(parent) ?? 0) + 1);
  const ready = [...parents.keys()].filter((node) => !waiting.has(node));
  const sums = new Map<K, Counts>();
  for (const node of parents.keys()) sums.set(node, counts.get(node) ?? noCounts);
  let finished = 0;
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    finished++;
    const parent = parents.get(node) ?? null;
    if (parent === null || !parents.has(parent)) continue;
    sums.set(parent, addCounts(sums.get(parent) ?? noCounts, sums.get(node) ?? noCounts));
    const left = (waiting.get(parent) ?? 0) - 1;
    waiting.set(parent, left);
    if (left === 0) ready.push(parent);
  }
  if (finished !== parents.size) throw new RangeError("the department tree has a cycle");
  return sums;
}
