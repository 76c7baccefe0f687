/**
 * Purpose: the whole chain over TLS with an authority of the company's own: group ← acme ← relay ← agent, and the command line, each with the same
 * `tls` block or `--ca`; and who does not trust the authority does not get in.
 */
import { readFileSync } from "node:fs";
import { get as httpsGet } from "node:https";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProcess, daicho, freePort, type NodeProcess } from "./harness/processes.ts";
import { createSite } from "./harness/site.ts";
import { until } from "./harness/until.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/tls/${name}`, import.meta.url));
const tls = { certFile: fixture("node.pem"), keyFile: fixture("node.key"), caFile: fixture("ca.pem") };
/** The command line and other clients of the company trust its authority the way Node programs do. */
const trusting = { NODE_EXTRA_CA_CERTS: tls.caFile };

function get(url: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    httpsGet(url, { ca: readFileSync(tls.caFile), headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

describe("every connection over TLS", { sequential: true, timeout: 120_000 }, () => {
  const site = createSite();
  const started: NodeProcess[] = [];
  let group = "";
  let acme = "";
  let relay = "";
  const configs = new Map<string, string>();

  const run = async (server: string, ...args: readonly string[]): Promise<string> => {
    const made = await daicho(["admin", "token", "--config", configs.get(server) ?? ""]);
    const url = server === "group" ? group : acme;
    const env = { ...trusting, DAICHO_SERVER: url, DAICHO_TOKEN: made.stdout.trim() };
    const { code, stdout, stderr } = await daicho(args, env);
    expect({ args, code, stderr: code === 0 ? "" : stderr }).toEqual({ args, code: 0, stderr: "" });
    return stdout.trim();
  };
  const start = async (name: string, command: readonly string[], config: object): Promise<void> => {
    const file = site.write(`${name}/${name}.yaml`, JSON.stringify(config));
    configs.set(name, file);

    const node: NodeProcess = createProcess({
      name,
      args: [...command, "--config", file],
      logFile: `${site.dir}/${name}.log`,
      isReady: () => Promise.resolve(/listen|agent-started|scan/.test(node.log())),
    });
    started.push(node);
    await node.start();
  };

  beforeAll(async () => {
    const data = (name: string) => ({ data: `${site.dir}/${name}/data` });
    const server = async (name: string, role: string, more: object): Promise<string> => {
      const port = await freePort();
      const database = `sqlite:${site.dir}/${name}/daicho.db`;
      await start(name, ["server"], { role, name, listen: `127.0.0.1:${port}`, database, ...data(name), tls, ...more });
      return `https://localhost:${port}`;
    };
    group = await server("group", "group", {});
    const token = await run("group", "enrollment", "create");
    acme = await server("acme", "corporate", { upstream: { url: group, enrollmentToken: token, tls: { caFile: tls.caFile } } }); // prettier-ignore
    const port = await freePort();
    relay = `https://localhost:${port}`;
    await start("relay", ["relay"], {
      name: "relay",
      listen: `127.0.0.1:${port}`,
      upstream: [acme],
      ...data("relay"),
      tls,
      enrollmentToken: await run("acme", "enrollment", "create"),
    });
  }, 120_000);
  afterAll(async () => {
    await Promise.all(started.map((node) => node.kill()));
    await site.close();
  });

  it("carries enrolments, reports and positions from an agent to the group", async () => {
    await start("agent", ["agent", "run"], {
      upstream: [relay],
      data: `${site.dir}/agent/data`,
      heartbeat: "2s",
      tls: { caFile: tls.caFile },
      scan: { roots: [site.write("agent/root/.keep", "").slice(0, -6)], every: "1m", splay: "0s" },
      enrollmentToken: await run("acme", "enrollment", "create"),
    });
    await until("the agent's inventory at the company", async () => {
      const { items } = JSON.parse(await run("acme", "report", "devices", "--json")) as { items: { lastSeenAt?: string }[] }; // prettier-ignore
      return items.some((device) => device.lastSeenAt !== undefined);
    });
    await run("acme", "report", "reconcile");
    const admin = (await daicho(["admin", "token", "--config", configs.get("group") ?? ""])).stdout.trim();
    await until("the company at the group", async () => {
      const answer = await get(`${group}/api/v1/companies`, admin);
      return (JSON.parse(answer) as { items: { name: string; devices?: number }[] }).items.some((c) => c.name === "acme" && c.devices !== undefined);
    }); // prettier-ignore
  });

  it("lets nobody send who does not trust this server's authority, and says so", async () => {
    const token = await run("acme", "enrollment", "create");
    for (const ca of [[], ["--ca", fixture("other-ca.pem")]]) {
      const { code, stderr } = await daicho([
        ...["agent", "enroll", "--upstream", relay, "--token", token, "--data", `${site.dir}/stranger`, ...ca],
      ]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/certificate/i);
    }
    const { code } = await daicho([
      ...["agent", "enroll", "--upstream", relay, "--token", token, "--data", `${site.dir}/friend`, "--ca", tls.caFile],
    ]);
    expect(code).toBe(0);
  });
});
