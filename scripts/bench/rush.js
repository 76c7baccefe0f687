/**
 * A morning rush: agents below two relays in a chain to a server. Then the power fails for server and relays alike, every machine is switched on with
 * something new to say, and the nodes above come back. Printed: how long it takes until the last one is stored and held by the server, what the agents met
 * meanwhile (all of it must have been tried again), what was lost (nothing must be), and the memory of each node.
 */
import { createCrowd } from "./crowd.js";
import { createNodes, mebibytes, pause, seconds, starterPolicy, until } from "./nodes.js";

export async function rush({ devices, titles }) {
  const nodes = createNodes();
  let crowd;
  try {
    const server = await nodes.server("company", { role: "both" });
    await server.call("PUT", "/api/v1/policies/enterprise", starterPolicy(), "application/yaml");
    const token = server.enrollmentToken();
    const upper = await nodes.relay("upper", server, token);
    const lower = await nodes.relay("lower", upper, token);
    const chain = [server, upper, lower];
    crowd = await createCrowd({ upstream: lower.url, token, devices, titles });
    const joined = performance.now();
    await crowd.join();
    await until("all reports at the server", async () => (await waitingIn(upper, lower)) === 0);
    console.log(
      `rush      ${devices} agents enrolled and reported in full through two relays in ${seconds(performance.now() - joined)}`,
    );

    for (const node of chain) await node.kill();
    await crowd.switchOn();
    await pause(5_000);
    const back = performance.now();
    for (const node of chain) node.launch();
    await Promise.all(chain.map((node) => node.ready()));
    let half;
    let stats;
    await until(
      "the last one to be stored",
      async () => {
        await pause(250);
        stats = await crowd.stats();
        if (stats.waiting <= devices / 2) half ??= performance.now() - back;
        return stats.waiting === 0;
      },
      3600,
    );
    const stored = performance.now() - back;
    await until("the relays to be empty", async () => (await waitingIn(upper, lower)) === 0);
    const held = performance.now() - back;
    console.log(
      `rush      since the nodes were started again: half stored after ${seconds(half)}, the last after ${seconds(stored)}, all at the server after ${seconds(held)}`,
    );
    console.log(`          met by agents and tried again: ${words(stats.retried)}`);
    console.log(`          met by agents and not tried again: ${words({ ...stats.refused, ...stats.rejected })}`);
    console.log(`          asked to come later than their schedule: ${stats.told}`);
    const answers = await crowd.verify(server.url);
    const { stored: agreed = 0, ...lost } = answers;
    console.log(`          held by the server as reported last: ${agreed} of ${devices}; not: ${words(lost)}`);
    server.reconcile();
    console.log("          reconcile: clean");
    console.log(`memory    ${chain.map((node) => `${node.name} ${mebibytes(node.peak())}`).join(", ")} at most`);
  } finally {
    crowd?.close();
    nodes.close();
  }
}

async function waitingIn(...relays) {
  const waiting = await Promise.all(relays.map((relay) => relay.metric("daicho_relay_spool_records")));
  return waiting.reduce((sum, n) => sum + n, 0);
}

const words = (counts) =>
  Object.entries(counts)
    .map(([code, times]) => `${times} × ${code}`)
    .join(", ") || "nothing";
