/**
 * Purpose: the four nodes of `daicho up`, each as its own program would run it - its own store, its own address, enrolled with a real
 * token - in one process.
 */
import { join } from "node:path";
import { systemClock, type Log } from "@daicho/kernel";
import { createAgent, loadAgentConfig, type Agent } from "@daicho/agent";
import { createRelay, loadRelayConfig } from "@daicho/relay";
import { createServer, loadServerConfig, type Server } from "@daicho/server";
import { version } from "../version.ts";
import type { UpDirectory } from "./directory.ts";

export const groupName = "group";
export const companyName = "acme";

export interface RunningServer {
  readonly server: Server;
  readonly url: string;
  readonly adminToken: string;
}

// What the environment says is meant for nodes that are configured one by one.
const env = {};

export async function startGroup(dir: UpDirectory, port: number, log: Log): Promise<RunningServer> {
  const data = join(dir.path, "group");
  const config = loadServerConfig({
    env,
    flags: {
      role: "group",
      name: groupName,
      listen: `127.0.0.1:${port}`,
      database: `sqlite:${join(data, "daicho.db")}`,
      data,
    },
  });
  return startServer(dir, config, log.child({ node: groupName, role: "group" }), "group/admin-token");
}

export async function startCorporate(
  dir: UpDirectory,
  port: number,
  group: RunningServer,
  log: Log,
): Promise<RunningServer> {
  const data = join(dir.path, "corporate");
  const enrollmentToken = await enrollmentTokenFor(dir, "corporate/enrollment-token", group.server);
  const config = loadServerConfig({
    env,
    flags: {
      role: "corporate",
      name: companyName,
      listen: `127.0.0.1:${port}`,
      database: `sqlite:${join(data, "daicho.db")}`,
      data,
      upstream: { url: group.url, enrollmentToken },
    },
  });
  return startServer(dir, config, log.child({ node: companyName, role: "corporate" }), "admin-token");
}

export async function startRelay(
  dir: UpDirectory,
  port: number,
  above: RunningServer,
  log: Log,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const enrollmentToken = await enrollmentTokenFor(dir, "relay/enrollment-token", above.server);
  const config = loadRelayConfig({
    env,
    flags: {
      name: "relay",
      listen: `127.0.0.1:${port}`,
      upstream: [above.url],
      enrollmentToken,
      data: join(dir.path, "relay"),
    },
  });
  const relay = createRelay({ config, log: log.child({ node: "relay", role: "relay" }), program: version });
  const { url } = await relay.start();
  return { url, stop: () => relay.stop() };
}

export async function startAgent(dir: UpDirectory, relayUrl: string, company: RunningServer, log: Log): Promise<Agent> {
  const enrollmentToken = await enrollmentTokenFor(dir, "agent/enrollment-token", company.server);
  const config = loadAgentConfig({
    env,
    flags: {
      upstream: [relayUrl],
      enrollmentToken,
      data: join(dir.path, "agent"),
      scan: { splay: "1m", polite: false },
    },
  });
  const agent = createAgent({ config, clock: systemClock, log: log.child({ role: "agent" }) });
  await agent.start();
  return agent;
}

async function startServer(
  dir: UpDirectory,
  config: ReturnType<typeof loadServerConfig>,
  log: Log,
  tokenFile: string,
): Promise<RunningServer> {
  const server = await createServer({ config, log });
  try {
    const { url } = await server.start();
    const make = async (): Promise<string> =>
      (await server.access.createApiToken({ name: "daicho up", role: "admin" })).token;
    const adminToken = await dir.secret(
      tokenFile,
      make,
      async (kept) => (await server.access.authenticate(kept)) !== undefined,
    );
    return { server, url, adminToken };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** A token for one node, kept: whoever was stopped between making and using it finds it again. */
function enrollmentTokenFor(dir: UpDirectory, file: string, above: Server): Promise<string> {
  return dir.secret(
    file,
    async () => (await above.access.createEnrollmentToken({ uses: 1 })).token,
    (kept) =>
      above.db.transaction(async (trx) => (await above.access.findEnrollmentToken(trx, kept))?.revoked_at === null),
  );
}
