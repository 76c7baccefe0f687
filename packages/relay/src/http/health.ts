/** Purpose: `/healthz` (alive), `/readyz` (can take reports), `/metrics` (Prometheus). Open to whoever reaches the port; they tell counts only. */
import type { Clock } from "@daicho/kernel";
import type { Spool } from "@daicho/spool";
import type { Uplink } from "@daicho/uplink";
import type { BlobCache } from "../cache/blobs.ts";
import type { DictionaryCache } from "../cache/dictionary.ts";
import type { Hub } from "../channel/hub.ts";
import type { Verdicts } from "../intake/verdicts.ts";
import type { Metrics } from "../metrics.ts";
import type { Admission } from "./admission.ts";
import type { Http } from "./app.ts";

export interface HealthOptions {
  readonly http: Http;
  readonly metrics: Metrics;
  readonly spool: Pick<Spool, "stats">;
  readonly hub: Hub;
  readonly uplink: Uplink;
  readonly dictionary: DictionaryCache;
  readonly verdicts: Verdicts;
  readonly admission: Admission;
  readonly blobs: BlobCache;
  readonly clock: Clock;
}

export function registerHealth(options: HealthOptions): void {
  const { http, metrics, spool, hub, uplink, dictionary, verdicts, admission, blobs, clock } = options;
  const gauge = (name: string, help: string, read: () => number): void =>
    metrics.gauge(`daicho_relay_${name}`, help, read);
  gauge("spool_records", "Reports stored and not yet taken by the node above.", () => spool.stats().records);
  gauge("spool_bytes", "Disk the spool takes.", () => spool.stats().bytes);
  gauge("spool_oldest_seconds", "Age of the oldest report not yet taken.", () => {
    const { oldestAt } = spool.stats();
    return oldestAt === undefined ? 0 : Math.max(0, (clock.now() - oldestAt) / 1000);
  });
  gauge("spool_damaged_bytes", "Bytes found damaged in the spool since the start.", () => spool.stats().damagedBytes);
  gauge("connections", "Agents and relays connected to the channel.", () => hub.size);
  gauge("agents_below", "Agents connected here and below.", () => hub.presence.agents);
  gauge("dictionary_version", "Version of the dictionary held.", () => dictionary.version);
  gauge("verdicts_waiting", "Devices to be told something at their next report.", () => verdicts.size);
  gauge("requests_in_flight", "Requests being worked on.", () => admission.requests);
  gauge("in_flight_bytes", "Bytes of request bodies held.", () => admission.bytes);
  gauge("blob_bytes", "Disk the content cache takes.", () => blobs.bytes);
  gauge("upstream_wait_seconds", "How long nothing is sent upward, 0 when it is.", () =>
    Math.max(0, (uplink.nextAttemptAt - clock.now()) / 1000),
  );
  gauge("resident_bytes", "Memory of the process.", () => process.memoryUsage.rss());

  http.app.get("/healthz", (_request, reply) => reply.type("text/plain").send("alive\n"));
  // A node above that is away does not make a relay unready: storing is its job.
  http.app.get("/readyz", (_request, reply) => reply.type("text/plain").send("ready\n"));
  http.app.get("/metrics", (_request, reply) => reply.type("text/plain; version=0.0.4").send(metrics.text()));
}
