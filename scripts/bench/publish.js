/**
 * A policy is published at the group, and the group's counts change: group ← company ← two relays in a chain ← connected agents. The edit adds a licence
 * that titles suffice for, so the company counts it by itself, and one that asks for a file, so every agent fetches the dictionary, looks and reports anew.
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createNodes, mebibytes, pause, seconds, starterPolicy, until } from "./nodes.js";

const script = fileURLToPath(new URL("./residents.js", import.meta.url));
const [title, file] = ["bench-suite", "bench-tool.bin"];

export async function publish({ devices }) {
  const nodes = createNodes();
  let child;
  try {
    const group = await nodes.server("group", { role: "group" });
    await group.call("PUT", "/api/v1/policies/enterprise", starterPolicy(), "application/yaml");
    const company = await nodes.server("company", { above: group });
    const token = company.enrollmentToken();
    const upper = await nodes.relay("upper", company, token);
    const lower = await nodes.relay("lower", upper, token);
    const options = { agents: devices, dir: nodes.dir, upstream: lower.url, token, title, file };
    child = fork(script, [JSON.stringify(options)]);
    const ask = (name, args) =>
      new Promise((resolve) => {
        child.once("message", ({ value }) => resolve(value));
        child.send({ name, args });
      });
    const versionAt = async (server) => (await server.call("GET", "/api/v1/dictionary")).version;
    const before = await versionAt(company);
    await ask("start");
    await until("every agent to be connected and settled", async () => {
      await pause(500);
      const { connected, settled, holding } = await ask("status", before);
      return Math.min(connected, settled, holding) === devices;
    });
    await until("the reports to have gone up", async () => {
      const waiting = await Promise.all([upper, lower].map((relay) => relay.metric("daicho_relay_spool_records")));
      return waiting.every((n) => n === 0);
    });
    // What came in last is counted at the group.
    await pause(5_000);

    const began = performance.now();
    await group.call("PUT", "/api/v1/policies/enterprise", edited(starterPolicy()), "application/yaml");
    const published = performance.now();
    const wanted = before + 1;
    const used = async (path, license) => {
      const { items } = await path();
      return items.find((item) => item.license === license)?.used ?? 0;
    };
    const atCompany = () => company.call("GET", "/api/v1/positions");
    const atGroup = () => group.call("GET", "/api/v1/companies/company/positions");
    const stages = [
      ["the company holds it", async () => (await versionAt(company)) >= wanted],
      ["counts by titles at the company", async () => (await used(atCompany, "@BENCH-TITLE")) === devices],
      ["counts by titles at the group", async () => (await used(atGroup, "@BENCH-TITLE")) === devices],
      ["the upper relay holds it", async () => (await upper.metric("daicho_relay_dictionary_version")) >= wanted],
      ["the lower relay holds it", async () => (await lower.metric("daicho_relay_dictionary_version")) >= wanted],
      ["every agent holds it", async () => (await ask("status", wanted)).holding === devices],
      ["counts by files at the company", async () => (await used(atCompany, "@BENCH-FILE")) === devices],
      ["counts by files at the group", async () => (await used(atGroup, "@BENCH-FILE")) === devices],
    ];
    console.log(
      `publish   ${devices} connected agents; taken by the group in ${seconds(published - began)}; then, since it was sent:`,
    );
    await Promise.all(
      stages.map(async ([name, reached]) => {
        await until(name, reached);
        console.log(`          ${seconds(performance.now() - began).padStart(7)}  ${name}`);
      }),
    );
    const { troubles } = await ask("status", wanted);
    console.log(`          troubles that agents still have: ${troubles.length}`);
    company.reconcile();
    console.log("          reconcile: clean");
    console.log(
      `memory    ${[group, company, upper, lower].map((node) => `${node.name} ${mebibytes(node.peak())}`).join(", ")} at most`,
    );
  } finally {
    child?.kill("SIGKILL");
    nodes.close();
  }
}

/** The next version, with two licences more. */
function edited(policy) {
  return policy
    .replace(/^version: (\d+)/m, (_, version) => `version: ${Number(version) + 1}`)
    .replace(
      /^software:\n/m,
      [
        "software:",
        `  - code: "@BENCH-TITLE"`,
        "    name: Found by its title",
        `    detect: package(name = "${title}")`,
        `  - code: "@BENCH-FILE"`,
        "    name: Found by its file",
        `    detect: file(name = "${file}")`,
        "",
      ].join("\n"),
    );
}
