import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadAgentConfig } from "./config.ts";

function load(yaml: string, env: Record<string, string> = {}) {
  const dir = mkdtempSync(join(tmpdir(), "daicho-config-"));
  try {
    const file = join(dir, "agent.yaml");
    writeFileSync(file, yaml);
    return loadAgentConfig({ file, env });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

describe("the agent's configuration (contract.md)", () => {
  it("reads the contract's example and fills in the rest", () => {
    const config = load(
      "upstream: [ http://relay-3f:7410 ]\ndata: ./data\nscan: { every: 6h, splay: 30m, roots: [ / ], exclude: [] }\n",
    );
    expect(config).toMatchObject({
      upstream: ["http://relay-3f:7410"],
      heartbeat: "1h",
      scan: { every: "6h", polite: true },
      limits: { spoolBytes: 67_108_864 },
    });
  });

  it("takes every key from the environment", () => {
    const config = load("upstream: [ http://a ]", {
      DAICHO_UPSTREAM: "http://b, http://c",
      DAICHO_SCAN_EVERY: "1d",
      DAICHO_SCAN_POLITE: "false",
      DAICHO_LIMITS_SPOOLBYTES: "2000000",
    });
    expect(config).toMatchObject({
      upstream: ["http://b", "http://c"],
      scan: { every: "1d", polite: false },
      limits: { spoolBytes: 2_000_000 },
    });
  });

  it("refuses what it does not know, naming the key and never the value", () => {
    for (const [yaml, key] of [
      ["data: ./data", "upstream"],
      ["upstream: []", "upstream"],
      ["upstream: [ http://a ]\nscan: { evry: 6h }", "scan.evry"],
      ["upstream: [ http://a ]\nscan: { every: hourly-s3cret }", "scan.every"],
      ["upstream: [ http://a ]\nheartbeat: 5", "heartbeat"],
    ] as const) {
      const attempt = (): unknown => load(yaml);
      expect(attempt).toThrow(expect.objectContaining({ code: "config-invalid" }));
      expect(attempt).toThrow(key);
      expect(attempt).not.toThrow(/s3cret/);
    }
  });
});
