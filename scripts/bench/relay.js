/** One relay and as many connected agents as a building has: its memory, what a push to all takes, and what a heartbeat of everybody at once does to it. */
import { createCrowd } from "./crowd.js";
import { createNodes, mebibytes, pause, seconds, until } from "./nodes.js";

export async function relay({ devices }) {
  const nodes = createNodes();
  let crowd;
  try {
    const server = await nodes.server("company");
    const token = server.enrollmentToken();
    const node = await nodes.relay("relay", server, token);
    console.log(`relay     ${mebibytes(node.resident())} with nobody connected`);
    crowd = await createCrowd({ upstream: node.url, token, devices, titles: 20 });
    await crowd.join();
    const connecting = performance.now();
    await crowd.connect();
    await until("the relay to count them", async () => (await node.metric("daicho_relay_connections")) === devices);
    console.log(`          ${devices} agents connected in ${seconds(performance.now() - connecting)}`);
    // Requests of before lie idle for a while, and what was left behind is collected.
    await pause(45_000);
    console.log(
      `          ${mebibytes(node.resident())} when it is quiet, ${mebibytes(node.peak())} at most until then`,
    );

    for (let round = 0; round < 3; round++) {
      const { messages } = await crowd.stats();
      const pushed = performance.now();
      await server.call("POST", "/api/v1/nodes/scan-now", "{}");
      await until("everybody to have heard it", async () => (await crowd.stats()).messages - messages >= devices);
      console.log(`          a push from the server reached all of them in ${seconds(performance.now() - pushed)}`);
    }
    const beating = performance.now();
    await crowd.beat();
    await until("all heartbeats to be stored", async () => {
      await pause(100);
      return (await crowd.stats()).waiting === 0;
    });
    const { retried, refused, connected } = await crowd.stats();
    console.log(
      `          a heartbeat of everybody at once was stored in ${seconds(performance.now() - beating)}; tried again: ${JSON.stringify(retried)}; refused: ${JSON.stringify(refused)}; still connected: ${connected}`,
    );
    console.log(`memory    ${mebibytes(node.peak())} at most`);
  } finally {
    crowd?.close();
    nodes.close();
  }
}
