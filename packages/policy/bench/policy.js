/**
 * Purpose: measures the hot functions of this package: titles against probes, codes against rules, versions, parsing.
 * Run after a build: `node packages/policy/bench/policy.js`. Prints the median of several rounds; deterministic input.
 */
import {
  buildDocuments,
  compileDictionary,
  compileRules,
  compareVersions,
  loadPolicies,
  parsePolicy,
} from "../dist/index.js";

function random(seed) {
  let x = seed;
  return (n) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x % n;
  };
}

function median(rounds, run) {
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const start = process.hrtime.bigint();
    run();
    times.push(Number(process.hrtime.bigint() - start));
  }
  return times.sort((a, b) => a - b)[rounds >> 1];
}

const next = random(7);
const word = () =>
  ["lib", "soft", "acme", "office", "tool", "viewer", "studio", "data", "net", "client"][next(10)] + next(5000);

function definitions(count) {
  return Array.from({ length: count }, (_, i) => {
    const name = `${word()}-${word()}`;
    const detect = [
      `package(name = "${name}", version >= "7", version < "8")`,
      `app(name = "${name}", publisher ~ "Acme*")`,
      `app(name ~ "${name}*")`,
      `app(name ~ "*${name}")`,
      `app(name ~ "*${name}*")`,
    ][i % 10 < 6 ? 0 : (i % 10) - 5];
    return { code: `@C${i}`, name, detect };
  });
}

const software = definitions(2000);
const recognizer = compileDictionary(software);
const titles = Array.from({ length: 700 }, () => ({
  name: `${word()}-${word()}-x`,
  version: "1.0",
  source: "dpkg",
  publisher: "Debian",
}));
const report = (name, nanoseconds, per, unit) =>
  console.log(`${name.padEnd(66)} ${(nanoseconds / per / 1000).toFixed(2).padStart(9)} µs ${unit}`);

let sink = 0;
for (let i = 0; i < 30; i++) for (const t of titles) sink += recognizer.matchTitle(t).length;
report(
  "matchTitle, 2,000 probes (a fifth with leading *), no match",
  median(51, () => {
    for (const t of titles) sink += recognizer.matchTitle(t).length;
  }),
  titles.length,
  "per title",
);

const plain = compileDictionary(software.filter((_, i) => i % 10 < 8));
for (let i = 0; i < 30; i++) for (const t of titles) sink += plain.matchTitle(t).length;
report(
  "matchTitle, 1,600 probes (exact names and prefixes), no match",
  median(51, () => {
    for (const t of titles) sink += plain.matchTitle(t).length;
  }),
  titles.length,
  "per title",
);

const hitting = software.slice(0, 60).map((d) => ({ name: d.name, version: "7.1", source: "dpkg" }));
const device = [...titles.slice(0, 640), ...hitting];
report(
  "recognizeInventory, 700 titles of which 60 are recognised",
  median(51, () => {
    sink += recognizer.recognizeInventory({ titles: device }).length;
  }),
  1,
  "per device",
);
report(
  "compileDictionary, 2,000 definitions",
  median(11, () => {
    sink += compileDictionary(software).probes.length;
  }),
  1,
  "per dictionary",
);

const rules = Array.from({ length: 300 }, (_, i) => {
  const c = () => `@C${next(600)}`;
  const expression = [
    `${c()} AND ${c()}`,
    `${c()} OR ${c()} OR ${c()}`,
    `${c()} AND NOT ${c()}`,
    `(${c()} OR ${c()}) AND ${c()}`,
    c(),
  ][i % 5];
  return { rule: `${expression} = @L${i}`, place: `group:${i}:1` };
});
const matcher = compileRules({
  daicho: "license-policy/v1",
  version: 1,
  rules,
  software: software.map(({ code, name }) => ({ code, name })),
});
const devices = Array.from({ length: 200 }, () => Array.from({ length: 60 }, () => `@C${next(2000)}`));
for (let i = 0; i < 50; i++) for (const d of devices) sink += matcher.match(d).licenses.length;
report(
  "match, 60 codes, 300 rules",
  median(51, () => {
    for (const d of devices) sink += matcher.match(d).licenses.length;
  }),
  devices.length,
  "per device",
);
const dense = Array.from({ length: 200 }, () => Array.from({ length: 60 }, () => `@C${next(600)}`));
for (let i = 0; i < 50; i++) for (const d of dense) sink += matcher.match(d).licenses.length;
report(
  "match, 60 codes that all stand in rules, 300 rules",
  median(51, () => {
    for (const d of dense) sink += matcher.match(d).licenses.length;
  }),
  dense.length,
  "per device",
);

for (const source of ["dpkg", "rpm", "apk", "pacman", "msi"]) {
  for (let i = 0; i < 20000; i++) sink += compareVersions(source, "4:7.4.7-1+deb12u8", "4:7.4.10-1");
  report(
    `compareVersions, ${source}`,
    median(21, () => {
      for (let i = 0; i < 1000; i++) sink += compareVersions(source, "4:7.4.7-1+deb12u8", "4:7.4.10-1");
    }),
    1000,
    "per pair",
  );
}

const text = ["daicho: policy/v1", "id: bench", "edition: enterprise", "version: 1", "software:"]
  .concat(software.map((d) => `  - code: "${d.code}"\n    name: ${d.name}\n    detect: ${d.detect}`))
  .concat(
    "licenses:",
    rules.map((r) => `  - rule: "${r.rule}"`),
  )
  .join("\n");
report(
  "parsePolicy, 2,000 definitions and 300 rules",
  median(5, () => {
    sink += parsePolicy(text, { file: "x" }).faults.length;
  }),
  1,
  "per policy",
);
report(
  "loadPolicies (with all checks)",
  median(5, () => {
    sink += loadPolicies([{ file: "x", text }]).faults.length;
  }),
  1,
  "per policy",
);
const { policies } = loadPolicies([{ file: "x", text }]);
if (policies !== undefined) {
  report(
    "buildDocuments",
    median(5, () => {
      sink += buildDocuments({ enterprise: policies, company: "x", dictionaryVersion: 1, generatedAt: "" }).dictionary
        .software.length;
    }),
    1,
    "per policy",
  );
}
if (sink < 0) console.log(sink);
