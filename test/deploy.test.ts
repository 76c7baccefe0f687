import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadAgentConfig } from "@daicho/agent";
import { isDaichoError } from "@daicho/kernel";
import { loadRelayConfig } from "@daicho/relay";
import { loadServerConfig } from "@daicho/server";

const file = (name: string): string => fileURLToPath(new URL(`../deploy/config/${name}`, import.meta.url));

/** Everything but the token file, which only the real machine has. */
const code = (load: () => unknown): string => {
  try {
    load();
    return "sound";
  } catch (error) {
    return isDaichoError(error) ? error.code : String(error);
  }
};

it("the configurations in deploy/ are sound but for the secrets they name", () => {
  expect(code(() => loadServerConfig({ file: file("server.yaml"), env: {} }))).toBe("secret-unreadable");
  expect(code(() => loadRelayConfig({ file: file("relay.yaml"), env: {} }))).toBe("secret-unreadable");
  expect(code(() => loadAgentConfig({ file: file("agent.yaml"), env: {} }))).toBe("secret-unreadable");
});
