/**
 * Boundaries (style: "The house"). One direction: cli → agent | relay | server → licensing | policy | uplink | spool → protocol → nothing;
 * kernel is below all but protocol and the pure packages. scripts/violations holds one deliberately violating file per rule.
 */
const pkg = (names) => `(^|/)packages/(${names})/`;

const may = {
  protocol: [],
  kernel: [],
  policy: ["protocol"],
  licensing: ["protocol"],
  spool: ["kernel"],
  uplink: ["protocol", "kernel"],
  agent: ["protocol", "kernel", "policy", "spool", "uplink"],
  relay: ["protocol", "kernel", "spool", "uplink"],
  server: ["protocol", "kernel", "policy", "licensing", "uplink"],
  testkit: ["protocol", "kernel", "policy"],
  cli: ["protocol", "kernel", "policy", "licensing", "spool", "uplink", "agent", "relay", "server"],
};
const all = Object.keys(may);

module.exports = {
  forbidden: [
    ...all.map((name) => ({
      name: `${name}-imports-only-${may[name].join("-") || "nothing-of-ours"}`,
      severity: "error",
      from: { path: pkg(name), pathNot: "\\.test\\.ts$|/testing/" },
      to: { path: pkg(all.filter((other) => other !== name && !may[name].includes(other)).join("|")) },
    })),
    {
      name: "packages-only-through-their-index",
      severity: "error",
      from: { path: "(^|/)packages/([^/]+)/" },
      to: { path: "(^|/)packages/([^/]+)/src/", pathNot: ["(^|/)packages/$2/", "(^|/)packages/[^/]+/src/index\\.ts$"] },
    },
    {
      name: "pure-packages-do-no-io",
      severity: "error",
      from: { path: pkg("policy|licensing"), pathNot: "\\.test\\.ts$" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?(crypto|buffer|util)$" },
    },
    {
      name: "kysely-in-stores-only",
      severity: "error",
      from: {
        path: pkg("server"),
        pathNot:
          "store[^/]*\\.ts$|/stores?/|/db/|/tables\\.ts$|-tables\\.ts$|migrations\\.ts$|/testing/|\\.test\\.ts$|repository\\.ts$",
      },
      to: { path: "node_modules/kysely" },
    },
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "no-test-code-in-products",
      severity: "error",
      from: { pathNot: "\\.test\\.ts$|/testing/|/fixtures/|^packages/testkit/|^test/|^scripts/[^/]+$" },
      to: { path: "\\.test\\.ts$|/testing/|packages/testkit/|node_modules/(vitest|fast-check)/" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.tests.json" },
    exclude: { path: "^packages/[^/]+/dist/|/fixtures/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
      extensions: [".ts", ".js", ".json"],
    },
  },
};
