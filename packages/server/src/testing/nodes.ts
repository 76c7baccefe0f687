/** Purpose: real nodes below a test server: enrolled with a real key over a real socket, with uplink and channel. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog, systemClock } from "@daicho/kernel";
import type { DownMessage, NodeKind, NodeStatus } from "@daicho/protocol";
import {
  createChannel,
  createUplink,
  enroll,
  openIdentity,
  type Channel,
  type Identity,
  type Uplink,
} from "@daicho/uplink";

export interface TestNode {
  readonly id: string;
  readonly identity: Identity;
  readonly uplink: Uplink;
  readonly heard: DownMessage[];
  connect(): Channel;
  status(over?: Partial<NodeStatus>): NodeStatus;
  stop(): Promise<void>;
}

export async function enrollNode(options: {
  readonly url: string;
  readonly token: string;
  readonly kind: NodeKind;
  readonly name: string;
  readonly company?: string;
}): Promise<TestNode> {
  const dir = mkdtempSync(join(tmpdir(), "daicho-node-"));
  const identity = await openIdentity({ dir });
  const base = { upstreams: [options.url], clock: systemClock, log: silentLog, backoff: { baseMs: 10, capMs: 50 } };
  const { kind, name } = options;
  await enroll({ ...base, token: options.token, kind, name, identity });
  const uplink = createUplink({ ...base, identity });
  const channels: Channel[] = [];
  const heard: DownMessage[] = [];
  return {
    id: identity.id,
    identity,
    uplink,
    heard,
    connect() {
      const channel = createChannel({ ...base, uplink, onMessage: (message) => heard.push(message) });
      channels.push(channel);
      return channel;
    },
    status: (over = {}) => ({
      id: identity.id,
      kind,
      name,
      company: options.company ?? (kind === "server" ? name : "acme"),
      dictionary: 0,
      state: "none",
      at: new Date().toISOString(),
      ...over,
    }),
    async stop() {
      for (const channel of channels) await channel.close();
      await uplink.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
