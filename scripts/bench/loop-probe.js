/**
 * Runs inside the server that is measured (`node --import`): tells every time the event loop was held, and how long of it the thread waited for a
 * core that others had - Linux' scheduler knows (schedstat) - so that figures mean something on a machine that is busy with other work.
 * A line a time in the file that DAICHO_BENCH_LOOP names: `held`, end, whole time, waited for a core, ran on one; and `gc`, begin, how long, for each
 * collection of garbage; microseconds, clock of process.hrtime.
 */
import { appendFileSync, openSync, readSync } from "node:fs";
import { PerformanceObserver, performance } from "node:perf_hooks";
import { hrtime, pid } from "node:process";
import { clearInterval, setInterval } from "node:timers";
import { isMainThread } from "node:worker_threads";

const beat = 2;
const told = 8;
const file = process.env.DAICHO_BENCH_LOOP;
if (isMainThread && file !== undefined) watch(file);

function watch(file) {
  const stat = openSync(`/proc/self/task/${pid}/schedstat`);
  const bytes = Buffer.alloc(96);
  const scheduled = () => {
    const [ran, waited] = bytes.latin1Slice(0, readSync(stat, bytes, 0, bytes.length, 0)).split(" ");
    return { ran: Number(ran) / 1000, waited: Number(waited) / 1000 };
  };
  let before = { at: performance.now(), ...scheduled() };
  const since = Number(hrtime.bigint() / 1000n) - performance.now() * 1000;
  const tell = (kind, ...numbers) => appendFileSync(file, `${[kind, ...numbers.map(Math.round)].join(" ")}\n`);
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      if (duration >= 1) tell("gc", since + startTime * 1000, duration * 1000);
  }).observe({ entryTypes: ["gc"] });
  const timer = setInterval(() => {
    const now = { at: performance.now(), ...scheduled() };
    const held = now.at - before.at - beat;
    if (held >= told) tell("held", since + now.at * 1000, held * 1000, now.waited - before.waited, now.ran - before.ran); // prettier-ignore
    before = now;
  }, beat);
  timer.unref();
  process.on("exit", () => clearInterval(timer));
}
