/** Purpose: the checks of a node that is configured on this host: what its file says, its certificate, its store, what is signed, the way up. */
import { loadAgentConfig } from "@daicho/agent";
import type { TlsConfig } from "@daicho/kernel";
import { loadRelayConfig } from "@daicho/relay";
import type { ServerConfig } from "@daicho/server";
import { readText } from "../files/read.ts";
import { checkCertificate } from "./certificate.ts";
import { checkData } from "./data.ts";
import { attempt, Finding, type Check } from "./check.ts";
import { checkClock } from "./server.ts";

type Env = Readonly<Record<string, string | undefined>>;

export async function* checkConfiguration(file: string, env: Env): AsyncGenerator<Check> {
  let kind: "server" | "relay" | "agent" = "agent";
  const text = await readText(file).catch(() => "");
  if (/^\s*["']?role["']?\s*:/m.test(text) || env["DAICHO_ROLE"] !== undefined) kind = "server";
  else if (/^\s*["']?name["']?\s*:/m.test(text) || env["DAICHO_NAME"] !== undefined) kind = "relay";

  if (kind === "server") return yield* checkServerNode(file, env);
  let config: { readonly upstream: readonly string[]; readonly data: string; readonly tls?: TlsConfig } | undefined;
  yield await attempt("configuration", file, () => {
    config = kind === "relay" ? loadRelayConfig({ file, env }) : loadAgentConfig({ file, env });
    return Promise.resolve(`of ${kind === "relay" ? "a relay" : "an agent"}, ${config.upstream.length} upstream(s)`);
  });
  if (config === undefined) return;
  yield* checkCertificate(config.tls);
  yield* checkData(config.data);
  yield* checkUpstreams(config.upstream, config.tls?.caFile);
}

async function* checkServerNode(file: string, env: Env): AsyncGenerator<Check> {
  const { inspectStore, loadServerConfig } = await import("@daicho/server");
  let config: ServerConfig | undefined;
  yield await attempt("configuration", file, () => {
    config = loadServerConfig({ file, env });
    return Promise.resolve(`of the ${config.role} server ${config.name}`);
  });
  if (config === undefined) return;
  yield* checkCertificate(config.tls);
  const store = await inspectStore(config);
  const place = store.dialect;
  yield await attempt("store", place, () => {
    const { unusable, damage, pending, unknown } = store;
    if (unusable !== undefined)
      throw new Finding(`cannot be read (${unusable}); check \`database\` in the configuration`);
    if (unknown.length > 0) throw new Finding(`was made by a newer version (${unknown[0]}); start that one`);
    if (damage !== undefined) throw new Finding(`is damaged: ${damage}; restore a backup`);
    return Promise.resolve(
      pending.length === 0 ? "sound, schema up to date" : `sound; ${pending.length} migrations at the next start`,
    );
  });
  if (store.unusable !== undefined) return;
  yield await attempt("signatures", "dictionary", () => {
    const { dictionary } = store;
    if (dictionary?.refusal !== undefined)
      throw new Finding(
        `version ${dictionary.version} does not verify under this server's root (${dictionary.refusal})`,
      );
    return Promise.resolve(
      dictionary === undefined
        ? "none generated yet"
        : `version ${dictionary.version} verifies under this server's root`,
    );
  });
  const { upstream } = config;
  if (upstream !== undefined)
    yield* checkUpstreams(typeof upstream.url === "string" ? [upstream.url] : upstream.url, upstream.tls?.caFile);
}

async function* checkUpstreams(urls: readonly string[], ca: string | undefined): AsyncGenerator<Check> {
  for (const url of urls) yield* checkClock("upstream", url, ca);
}
