/**
 * What held the event loop of a server that runs loop-probe.js, activity by activity; with a processor profile of that server also which code it was.
 */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hrtime } from "node:process";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const aim = 50;
const now = () => Number(hrtime.bigint() / 1000n);
const ms = (us) => (us / 1000).toFixed(0);

export function createHeld({ profile } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "daicho-bench-loop-"));
  const file = join(dir, "held");
  process.env.DAICHO_BENCH_LOOP = file;
  const activities = [];
  const lines = () => {
    const told = existsSync(file) ? readFileSync(file, "latin1").split("\n").slice(0, -1) : [];
    const of = (kind) =>
      told.filter((line) => line.startsWith(`${kind} `)).map((line) => line.split(" ").slice(1).map(Number));
    const collections = of("gc");
    return of("held").map(([at, whole, waited, ran]) => {
      const gc = collections.filter(([from]) => from >= at - whole - 2000 && from <= at);
      return { at, whole, ran, held: Math.max(0, whole - waited), gc: gc.reduce((sum, [, us]) => sum + us, 0) };
    });
  };
  return {
    nodeArgs: [
      ...["--import", fileURLToPath(new URL("loop-probe.js", import.meta.url))],
      ...(profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`, "--cpu-prof-interval=500"]),
    ],
    /** Does the work and tells how long at most the loop was held meanwhile: with what it waited for a core, without, and on a core. */
    async during(name, work) {
      const from = now();
      const answer = await work();
      // What is still queued belongs to it, too.
      await setTimeout(30);
      const to = now();
      const here = lines().filter(({ at }) => at > from && at <= to);
      const most = (what) => here.reduce((a, line) => Math.max(a, line[what]), 0);
      const longest = here.toSorted((a, b) => b.held - a.held).slice(0, 3);
      const over = here.filter(({ held }) => held > aim * 1000).length;
      console.log(
        `loop      ${name.padEnd(44)} ${((to - from) / 1e6).toFixed(2).padStart(7)} s, held ${ms(most("held")).padStart(4)} ms at most (of it collecting garbage ${ms(longest[0]?.gc ?? 0)}; on a core ${ms(most("ran"))}, waiting for one included ${ms(most("whole"))})${over > 0 ? `, ${over} times over ${aim}` : ""}`,
      );
      activities.push({ name, longest });
      return answer;
    },
    /** After the server has ended: the code behind each activity's longest times. */
    explain() {
      if (profile === undefined) return;
      const profiles = readdirSync(profile)
        .filter((name) => name.endsWith(".cpuprofile"))
        .map((name) => JSON.parse(readFileSync(join(profile, name), "utf8")));
      for (const { name, longest } of activities)
        for (const { at, whole, held } of longest.filter(({ held }) => held > (aim / 2) * 1000)) {
          console.log(`held      ${name}: ${ms(held)} ms`);
          for (const line of stacksOf(profiles, at - whole, at)) console.log(`          ${line}`);
        }
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** The functions that were on the stack for at least a fifth of the time, callers first. */
function stacksOf(profiles, from, to) {
  const profile = profiles.find(({ startTime, endTime }) => startTime <= from && to <= endTime);
  if (profile === undefined) return [];
  const { nodes, samples, timeDeltas } = profile;
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const nameOf = ({ functionName, url, lineNumber }) =>
    `${functionName || "(anonymous)"} ${url.replace(/^.*\/(node_modules|packages)\//, "")}${url === "" ? "" : `:${lineNumber + 1}`}`;
  const seen = new Map();
  let at = profile.startTime;
  let count = 0;
  for (let i = 0; i < samples.length; i++) {
    at += timeDeltas[i];
    if (at < from || at > to) continue;
    count++;
    const names = [];
    for (let id = samples[i]; id !== undefined; id = parents.get(id)) names.push(nameOf(frames.get(id)));
    for (const name of new Set(names)) {
      const known = seen.get(name) ?? { hits: 0, depth: 0 };
      seen.set(name, { hits: known.hits + 1, depth: Math.max(known.depth, names.length - names.indexOf(name)) });
    }
  }
  return [...seen]
    .filter(([name, { hits }]) => hits >= count / 5 && !name.startsWith("(root)"))
    .sort((a, b) => a[1].depth - b[1].depth)
    .map(([name, { hits }]) => `${String(Math.round((hits / count) * 100)).padStart(3)} % ${name}`);
}
