/**
 * Purpose: the registry of exported `.reg` files, on any operating system. Files are read one after the other into one tree, as
 * regedit would import them; they may hold any part of a registry, also hives mounted under another name or without a root.
 * Invariants: only keys that somebody wants are kept, and at most `maxKept` of them, so a 100 MB export of everything
 * costs time but not memory. A file that cannot be read is a fault; what was read of it stays.
 */
import { createReadStream } from "node:fs";
import type { ScanError } from "@daicho/protocol";
import { describeFault, scanError } from "../findings.ts";
import { createRegReader } from "./reg-file.ts";
import type { RegistryTree, RegistryValue } from "./tree.ts";

/** Is the key with this path (in lower case, with a backslash at its end) to be kept? */
export type WantsKey = (path: string) => boolean;

/** Characters; a key or value counts for more than its text, by what it costs in memory. */
const maxKept = 256 * 1024 * 1024;
const maxFaults = 90;

interface Node {
  readonly name: string;
  readonly children: Map<string, Node>;
  readonly values: Map<string, RegistryValue>;
}

export async function readRegistryFiles(files: readonly string[], wants: WantsKey): Promise<RegistryTree> {
  const root: Node = newNode("");
  let faults: ScanError[] = [];
  let kept = 0;

  for (const file of files) {
    let unlisted = 0;
    let current: Node | undefined;
    const fault = (line: number, message: string): void => {
      if (faults.length < maxFaults) faults.push(scanError(file, "malformed", `line ${line}: ${message}`));
      else unlisted++;
    };
    let full = false;
    const keep = (characters: number): boolean => {
      if (kept + characters > maxKept) {
        if (!full)
          faults.push(scanError(file, "too-large", "the exports hold more than can be kept; the rest was left out"));
        full = true;
        return false;
      }
      kept += characters;
      return true;
    };
    const reader = createRegReader({
      key(path) {
        current = undefined;
        if (!wants(`${path.toLowerCase()}\\`)) return false;
        current = makeNode(root, path, keep);
        return current !== undefined;
      },
      value(value) {
        if (keep(value.text.length + 100)) current?.values.set(value.name.toLowerCase(), value);
      },
      deleteKey: (path) => removeNode(root, path),
      deleteValue: (name) => current?.values.delete(name.toLowerCase()),
      fault,
    });
    try {
      for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) reader.write(chunk as Buffer);
      reader.end();
    } catch (error) {
      // A file the user named must be there: absence is an error too.
      const { code, message } = describeFault(error);
      faults.push(scanError(file, code, message));
    }
    if (unlisted > 0) faults.push(scanError(file, "malformed", `${unlisted} more faults are not listed`));
  }

  const find = (path: string): Node | undefined => {
    let node: Node | undefined = root;
    for (const part of parts(path)) node = node?.children.get(part.toLowerCase());
    return node;
  };
  return {
    subkeys: (path) => [...(find(path)?.children.values() ?? [])].map((child) => child.name),
    values: (path) => [...(find(path)?.values.values() ?? [])],
    below: (suffix) => nativeViewFirst(findBelow(root, parts(suffix.toLowerCase()))),
    takeFaults() {
      const taken = faults;
      faults = [];
      return taken;
    },
  };
}

function newNode(name: string): Node {
  return { name, children: new Map(), values: new Map() };
}

/** Real registries are at most 512 levels deep. */
function parts(path: string): string[] {
  return path === "" ? [] : path.split("\\").slice(0, 512);
}

/** The node of `path`; undefined when `keep` allows no more of them. */
function makeNode(root: Node, path: string, keep: (characters: number) => boolean): Node | undefined {
  let node = root;
  for (const part of parts(path)) {
    const key = part.toLowerCase();
    let child = node.children.get(key);
    if (child === undefined) {
      if (!keep(part.length + 500)) return undefined;
      node.children.set(key, (child = newNode(part)));
    }
    node = child;
  }
  return node;
}

function removeNode(root: Node, path: string): void {
  const names = parts(path).map((part) => part.toLowerCase());
  const last = names.pop();
  let node: Node | undefined = root;
  for (const name of names) node = node?.children.get(name);
  if (last !== undefined) node?.children.delete(last);
}

/** An export may start anywhere, so every key of the tree may be the one above `suffix`. */
function findBelow(root: Node, suffix: readonly string[]): string[] {
  const found: string[] = [];
  const pending: { node: Node; path: string }[] = [{ node: root, path: "" }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    let target: Node | undefined = next.node;
    const spelled: string[] = next.path === "" ? [] : [next.path];
    for (const part of suffix) {
      target = target?.children.get(part);
      if (target !== undefined) spelled.push(target.name);
    }
    if (target !== undefined) found.push(spelled.join("\\"));
    for (const child of [...next.node.children.values()].reverse()) {
      pending.push({ node: child, path: next.node === root ? child.name : `${next.path}\\${child.name}` });
    }
  }
  return found;
}

function nativeViewFirst(paths: readonly string[]): string[] {
  const view = (path: string): number => (/\\wow6432node\\/i.test(path) ? 1 : 0);
  return [...paths].sort((a, b) => view(a) - view(b));
}
