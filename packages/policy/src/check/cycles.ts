/**
 * Purpose: circles among licence rules: a code that, through other rules, is needed to derive itself.
 * Invariants: linear in rules and terms; one shortest circle per group of rules that depend on each other; nothing
 * recurses, so a chain of 50,000 rules is as safe as one of three.
 */

export interface RuleEdge {
  readonly yields: string;
  readonly needs: readonly string[];
}

export interface Cycle {
  /** Each is needed for the next; the first comes again at the end: `[A, B, A]`. */
  readonly codes: readonly string[];
  /** Index of the rule that yields the first of them. */
  readonly rule: number;
}

export function findCycles(rules: readonly RuleEdge[]): readonly Cycle[] {
  const yieldedBy = new Map<string, number[]>();
  for (const [i, rule] of rules.entries()) {
    const list = yieldedBy.get(rule.yields);
    if (list === undefined) yieldedBy.set(rule.yields, [i]);
    else list.push(i);
  }
  const cycles: Cycle[] = [];
  for (const group of components(rules, yieldedBy)) {
    const start = group.find((i) => needsItself(rules, yieldedBy, group, i)) ?? group[0];
    const first = start === undefined ? undefined : rules[start];
    if (start === undefined || first === undefined) continue;
    const codes = shortestWayBack(rules, yieldedBy, new Set(group), start);
    if (codes !== undefined) cycles.push({ codes, rule: start });
  }
  return cycles.sort((a, b) => a.rule - b.rule);
}

function needsItself(
  rules: readonly RuleEdge[],
  yieldedBy: ReadonlyMap<string, readonly number[]>,
  group: readonly number[],
  rule: number,
): boolean {
  return group.includes(rule) && (rules[rule]?.needs.some((code) => yieldedBy.get(code)?.includes(rule)) ?? false);
}

/** From the rule's code along what it needs back to the code itself, by breadth first. */
function shortestWayBack(
  rules: readonly RuleEdge[],
  yieldedBy: ReadonlyMap<string, readonly number[]>,
  group: ReadonlySet<number>,
  start: number,
): readonly string[] | undefined {
  const goal = rules[start]?.yields ?? "";
  const cameFrom = new Map<string, string>();
  const queue: string[] = [];
  const expand = (rule: number, from: string): boolean => {
    for (const code of rules[rule]?.needs ?? []) {
      if (code === goal) {
        cameFrom.set(goal, from);
        return true;
      }
      if (cameFrom.has(code) || !(yieldedBy.get(code) ?? []).some((i) => group.has(i))) continue;
      cameFrom.set(code, from);
      queue.push(code);
    }
    return false;
  };
  let closed = expand(start, goal);
  for (let at = 0; !closed && at < queue.length; at++) {
    const code = queue[at] ?? "";
    closed = (yieldedBy.get(code) ?? []).some((rule) => group.has(rule) && expand(rule, code));
  }
  if (!closed) return undefined;
  const way = [goal];
  for (let code = cameFrom.get(goal); code !== undefined && code !== goal; code = cameFrom.get(code)) way.push(code);
  way.push(goal);
  return way;
}

/** Tarjan's strongly connected components of rules, without recursion; only groups that hold a circle. */
function components(
  rules: readonly RuleEdge[],
  yieldedBy: ReadonlyMap<string, readonly number[]>,
): readonly (readonly number[])[] {
  const edges = rules.map((rule) => rule.needs.flatMap((code) => yieldedBy.get(code) ?? []));
  const order = new Int32Array(rules.length).fill(-1);
  const low = new Int32Array(rules.length);
  const onStack = new Uint8Array(rules.length);
  const nextEdge = new Int32Array(rules.length);
  const stack: number[] = [];
  const groups: number[][] = [];
  let counter = 0;
  for (let root = 0; root < rules.length; root++) {
    if (order[root] !== -1) continue;
    const path = [root];
    for (let node = path[path.length - 1]; node !== undefined; node = path[path.length - 1]) {
      if (order[node] === -1) {
        order[node] = low[node] = counter++;
        stack.push(node);
        onStack[node] = 1;
      }
      const at = nextEdge[node] ?? 0;
      const next = edges[node]?.[at];
      if (next !== undefined) {
        nextEdge[node] = at + 1;
        if (order[next] === -1) path.push(next);
        else if (onStack[next] === 1) low[node] = Math.min(low[node] ?? 0, order[next] ?? 0);
        continue;
      }
      path.pop();
      const parent = path[path.length - 1];
      if (parent !== undefined) low[parent] = Math.min(low[parent] ?? 0, low[node] ?? 0);
      if (low[node] !== order[node]) continue;
      const group: number[] = [];
      for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
        onStack[member] = 0;
        group.push(member);
        if (member === node) break;
      }
      if (group.length > 1 || (edges[node]?.includes(node) ?? false)) groups.push(group.sort((a, b) => a - b));
    }
  }
  return groups;
}
