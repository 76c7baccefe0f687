/**
 * Purpose: `/metrics` (Prometheus, names `daicho_…`), `/readyz`. Each module registers its own figures on the one registry; figures
 * that are states are read when they are asked for, never kept up.
 * Invariant: counts and times only - no names, no inventories - so that it needs no login.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from "node:perf_hooks";
import type { FastifyInstance } from "fastify";
import { Gauge, Histogram, Registry } from "prom-client";
import type { Database } from "../db/database.ts";
import { serverErrors } from "../errors.ts";

export interface Metrics {
  readonly registry: Registry;
  /** A figure read when asked for; with a label, one per key. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void;
  gauge(
    name: string,
    help: string,
    read: () => Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>,
    label: string,
  ): void;
  /** Times, in seconds; answers the function that takes one. */
  histogram(name: string, help: string, buckets: readonly number[]): (seconds: number) => void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const metrics: Metrics = {
    registry,
    gauge(name: string, help: string, read: () => unknown, label?: string) {
      new Gauge({
        name,
        help,
        registers: [registry],
        labelNames: label === undefined ? [] : [label],
        async collect() {
          const value = (await read()) as number | Readonly<Record<string, number>>;
          if (typeof value === "number") return this.set(value);
          this.reset();
          for (const [key, count] of Object.entries(value)) this.set({ [label ?? ""]: key }, count);
        },
      });
    },
    histogram(name, help, buckets) {
      const histogram = new Histogram({ name, help, buckets: [...buckets], registers: [registry] });
      return (seconds) => histogram.observe(seconds);
    },
  };
  metrics.gauge("daicho_process_resident_bytes", "Resident memory of the server", () => process.memoryUsage.rss());
  metrics.gauge("daicho_process_cpu_seconds", "CPU time used since the start", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  return metrics;
}

export function metricsRoutes(
  app: FastifyInstance,
  deps: { readonly metrics: Metrics; readonly db: Database; readonly stopping: () => boolean },
): void {
  const loop = loopWatch();
  app.addHook("onClose", () => Promise.resolve(loop.stop()));
  deps.metrics.gauge(
    "daicho_event_loop_held_seconds",
    "For how long the event loop was held, since this was last asked for",
    loop.read,
    "of",
  );

  app.get("/metrics", { schema: { hide: true } }, async (_request, reply) =>
    reply.type(deps.metrics.registry.contentType).send(await deps.metrics.registry.metrics()),
  );

  app.get("/readyz", { schema: { hide: true } }, async () => {
    if (deps.stopping()) throw serverErrors.make("starting", {}, { retryAfter: 5 });
    try {
      await deps.db.kysely.selectFrom("schema_migrations").select("name").limit(1).execute();
    } catch (error) {
      throw serverErrors.make("starting", {}, { retryAfter: 5, cause: error });
    }
    return { status: "ready" };
  });
}

const loopTickMs = 10;

/** The first question begins the watch: a server whose figures nobody reads pays nothing for it. */
function loopWatch(): { readonly read: () => Readonly<Record<string, number>>; stop(): void } {
  let watch: IntervalHistogram | undefined;
  return {
    read() {
      if (watch === undefined) {
        watch = monitorEventLoopDelay({ resolution: loopTickMs });
        watch.enable();
        return {};
      }
      // What is recorded is the time from tick to tick; nothing is recorded yet where none has passed.
      const held = (ns: number): number => (watch?.count === 0 ? 0 : Math.max(0, ns / 1e9 - loopTickMs / 1000));
      const read = { p50: held(watch.percentile(50)), p99: held(watch.percentile(99)), max: held(watch.max) };
      watch.reset();
      return read;
    },
    stop: () => void watch?.disable(),
  };
}
