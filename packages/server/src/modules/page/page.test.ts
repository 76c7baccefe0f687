import { afterEach, describe, expect, it } from "vitest";
import { enterprisePolicy } from "../../testing/policies.ts";
import { enrollNode } from "../../testing/nodes.ts";
import { startServer, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";
import { renderPage } from "./template.ts";
import { languageOf } from "./words.ts";

describe("the page's template", () => {
  it("escapes whatever comes from data", () => {
    const evil = `<script>alert("x")</script>'&`;
    const html = renderPage({
      language: "ja",
      title: evil,
      at: evil,
      positions: [
        {
          license: evil,
          name: evil,
          metric: evil,
          required: 1,
          held: 2,
          rights: 3,
          requested: 4,
          used: 5,
          overUnder: -3,
          idle: 0,
          unmanaged: { preinstalled: 0, individual: 0, other: 0 },
        },
      ],
      departments: [
        { department: evil, name: evil, depth: 2, license: evil, rights: 0, requested: 0, used: 1, overUnder: -1 },
      ],
      companies: [{ name: evil, at: evil }],
      truncated: true,
      nodes: [
        {
          node: evil,
          kind: "relay",
          name: evil,
          company: evil,
          state: "failed",
          lastSeenAt: evil,
          lag: {},
          reason: { code: evil, message: evil },
        },
      ],
    });
    expect(html).not.toMatch(/<script|alert\("|'&[^#]/);
    expect(html).toContain('<html lang="ja">');
    expect(html).toContain('<span class="short">-3</span>');
  });

  it("speaks the browser's first language that it knows", () => {
    expect(languageOf("fr-CH, ja;q=0.9, en;q=0.8")).toBe("ja");
    expect(languageOf("en;q=0.5,zh-CN;q=0.9")).toBe("zh");
    expect(languageOf("ja;q=0, fr")).toBe("en");
    expect(languageOf(undefined)).toBe("en");
    expect(languageOf(",;;q=,".repeat(1000))).toBe("en");
  });
});

forEachStore((store) => {
  const open: TestServer[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.stop();
  });

  it("asks for a token - as a password or bearer header, not in the address - and shows nodes and their state", async () => {
    const server = await startServer(store, { role: "both" });
    open.push(server);
    await server.api("PUT", "/api/v1/policies/enterprise", { body: enterprisePolicy(4), type: "text/yaml" });
    const relay = await enrollNode({
      url: server.url,
      token: await server.enrollmentToken(),
      kind: "relay",
      name: "東京-3F",
    });
    await relay.uplink.postStatus([relay.status({ dictionary: 1, state: "complete" })]);
    await relay.stop();
    const { token } = await server.server.access.createApiToken({ name: "x", role: "auditor" });
    const stranger = await fetch(`${server.url}/?token=${token}`);
    expect(stranger.status).toBe(401);
    expect(stranger.headers.get("www-authenticate")).toMatch(/^Basic realm=/);
    const wrong = await fetch(server.url, { headers: { authorization: `Basic ${btoa(`x:${token}x`)}` } });
    expect(wrong.status).toBe(401);
    for (const authorization of [`Basic ${btoa(`anyone:${token}`)}`, `Bearer ${token}`]) {
      const answer = await fetch(server.url, { headers: { authorization, "accept-language": "ja" } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
      const html = await answer.text();
      expect(html).toContain("東京-3F");
      expect(html).toContain("● 配布済");
    }
  });
});
