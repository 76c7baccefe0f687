/** Purpose: the checks of a node that answers on the network: is it there, does its clock agree, do its totals add up. */
import { createApiClient, createFetch, reasonOf } from "../client/client.ts";
import type { ClientOptions } from "../command.ts";
import { attempt, Finding, type Check } from "./check.ts";

/** Credentials are good for ten minutes either way; half of that is near enough to trouble to say so. */
const clockToleranceMs = 5 * 60_000;
const answerWithinMs = 10_000;
/** Nodes say how they stand once a minute; so long a silence is no restart. */
const silentAfterMs = 10 * 60_000;
/** What was lost is repaired within a heartbeat; the way it was lost on is worth a look while it is fresh. */
const lossIsFreshMs = 24 * 3_600_000;

export async function* checkServer(options: ClientOptions & { readonly server: string }): AsyncGenerator<Check> {
  const { server, token } = options;
  let answers = true;
  for await (const check of checkClock("server", server, options.ca)) {
    answers &&= check.ok || check.check !== "server";
    yield check;
  }
  if (token === undefined || !answers) return;
  yield await attempt("policies", server, async () => {
    const client = await createApiClient(options);
    const { body } = await client.get("/api/v1/policies");
    const { generation, fault } = body as { generation?: number; fault?: { code?: string; message?: string } };
    if (fault !== undefined) throw new Finding(`not in force: ${fault.message ?? fault.code ?? "unknown"}`);
    return `dictionary generation ${generation ?? 0}`;
  });
  yield await attempt("distribution", server, async () => {
    const client = await createApiClient(options);
    const failed: string[] = [];
    let nodes = 0;
    for await (const { items } of client.pages("/api/v1/policies/distribution")) {
      nodes += items.length;
      for (const { name, state, reason } of items as readonly {
        name?: unknown;
        state?: unknown;
        reason?: { code?: string };
      }[])
        if (state === "failed") failed.push(`${String(name)} (${reason?.code ?? "unknown"})`);
    }
    if (failed.length > 0) throw new Finding(`failed at ${failed.join(", ")}`);
    return `${nodes} nodes, none failed`;
  });
  yield await attempt("nodes", server, async () => {
    const client = await createApiClient(options);
    const faults: string[] = [];
    const since = (time: string): number => Date.now() - Date.parse(time);
    for await (const { items } of client.pages("/api/v1/nodes"))
      for (const { kind, name, lastSeenAt, online, missing } of items as unknown as readonly NodeItem[]) {
        if (kind !== "agent" && !online && since(lastSeenAt) > silentAfterMs)
          faults.push(`${name} is away, last heard of at ${lastSeenAt} (gone for good? remove it)`);
        if (missing !== undefined && since(missing.lastAt) < lossIsFreshMs)
          faults.push(
            `${missing.reports} reports of ${missing.devices} devices were lost or altered on the way by ${name}, last at ${missing.lastAt} (the devices sent anew; a disk, a backup put back, or something that drops or alters them)`,
          );
      }
    if (faults.length > 0) throw new Finding(faults.join("; "));
    return "all heard of, no reports lost or altered on the way";
  });
  yield await attempt("totals", server, async () => {
    const client = await createApiClient(options);
    const { differences } = (await client.get("/api/v1/reconcile")).body as { differences?: readonly unknown[] };
    if (differences === undefined) throw new Finding("the answer is no list of differences");
    if (differences.length > 0)
      throw new Finding(`${differences.length} stored totals differ; \`daicho report reconcile\` lists them`);
    return "every stored total equals the recomputed one";
  });
  yield await attempt("applications", server, async () => {
    const client = await createApiClient(options);
    const { applications, complete, faults, requested } = (await client.get("/api/v1/applications/verification"))
      .body as {
      applications?: number;
      complete?: boolean;
      faults?: readonly { readonly application?: string; readonly what?: string }[];
      requested?: readonly { readonly department?: string; readonly license?: string }[];
    };
    const [altered] = faults ?? [];
    const [differs] = requested ?? [];
    if (altered !== undefined)
      throw new Finding(
        `${faults?.length} signatures do not verify, first: ${altered.what} of ${altered.application}; something else changed the store`,
      );
    if (complete === false)
      throw new Finding("an application was taken away, added or put back; something else changed the store");
    if (differs !== undefined)
      throw new Finding(
        `${requested?.length} requested numbers are not what is outstanding, first: ${differs.department} ${differs.license}`,
      );
    return `${applications ?? 0}, every signature verifies`;
  });
}

interface NodeItem {
  readonly kind: string;
  readonly name: string;
  readonly lastSeenAt: string;
  readonly online: boolean;
  readonly missing?: { readonly reports: number; readonly devices: number; readonly lastAt: string };
}

/** Reachable, and with the same time. */
export async function* checkClock(check: string, url: string, ca: string | undefined): AsyncGenerator<Check> {
  let theirs: number | undefined;
  yield await attempt(check, url, async () => {
    const fetchHere = await createFetch(ca);
    try {
      const answer = await fetchHere(new URL("/healthz", url), { signal: AbortSignal.timeout(answerWithinMs) });
      await answer.arrayBuffer();
      theirs = Date.parse(answer.headers.get("date") ?? "");
      if (!answer.ok) throw new Finding(`answers HTTP ${answer.status}`);
    } catch (error) {
      throw error instanceof Finding ? error : new Finding(`does not answer (${reasonOf(error)})`);
    }
    return "answers";
  });
  if (theirs === undefined || !Number.isFinite(theirs)) return;
  const ahead = Date.now() - theirs;
  yield await attempt("clock", url, () => {
    const seconds = Math.round(Math.abs(ahead) / 1000);
    if (Math.abs(ahead) > clockToleranceMs)
      throw new Finding(`this machine's clock is ${seconds} s ${ahead > 0 ? "ahead of" : "behind"} it; correct it`);
    return Promise.resolve(seconds < 2 ? "agrees" : `differs by ${seconds} s`);
  });
}
