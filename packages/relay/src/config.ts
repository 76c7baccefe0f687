/**
 * Purpose: the relay's configuration (contract.md "Configuration"). The schema validates, fills defaults and documents.
 */
import { loadConfig, tlsSchema, type TlsConfig } from "@daicho/kernel";

export interface RelayLimits {
  /** Bytes per second towards the node above, reports and fetched content together; absent = as fast as it goes. */
  readonly bytesPerSecond?: number;
  readonly spoolBytes: number;
  readonly cacheBytes: number;
  readonly connections: number;
  readonly requests: number;
  readonly inFlightBytes: number;
}

export interface RelayConfig {
  readonly name: string;
  readonly listen: string;
  /** The preferred one first. */
  readonly upstream: readonly string[];
  readonly enrollmentToken?: string;
  readonly enrollmentTokenFile?: string;
  readonly data: string;
  readonly limits: RelayLimits;
  readonly tls?: TlsConfig;
}

const whole = (minimum: number, defaultValue: number, description: string): object => ({
  type: "integer",
  minimum,
  maximum: Number.MAX_SAFE_INTEGER,
  default: defaultValue,
  description,
});

export const relayConfigSchema = {
  $id: "https://daicho.example/schemas/relay-config.json",
  title: "Configuration of a Daicho relay",
  type: "object",
  additionalProperties: false,
  required: ["name", "upstream"],
  properties: {
    name: {
      type: "string",
      pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
      description: "The relay's name in the console, such as building and floor.",
    },
    listen: {
      type: "string",
      pattern: "^(\\[[0-9a-fA-F:.]+\\]|[^:\\s]+):\\d{1,5}$",
      default: "127.0.0.1:7410",
      description: "Address and port to listen on; port 0 takes any free one.",
    },
    upstream: {
      type: "array",
      items: { type: "string", pattern: "^https?://" },
      minItems: 1,
      maxItems: 16,
      description: "Relays or corporate servers above, the preferred one first; one at a time is used.",
    },
    enrollmentToken: { type: "string", description: "Needed once; better given by enrollmentTokenFile." },
    enrollmentTokenFile: { type: "string" },
    data: { type: "string", default: "./data", description: "Directory for spool, cache and identity." },
    limits: {
      type: "object",
      additionalProperties: false,
      default: {},
      properties: {
        bytesPerSecond: {
          type: "integer",
          minimum: 1000,
          description: "Bytes per second towards the node above; absent = as fast as it goes.",
        },
        spoolBytes: whole(1_000_000, 2_000_000_000, "Disk for reports that the node above has not taken yet."),
        cacheBytes: whole(0, 2_000_000_000, "Disk for content kept for the agents."),
        connections: whole(1, 20_000, "Agents and relays connected at once."),
        requests: whole(1, 256, "Requests worked on at once; more are told to come back."),
        inFlightBytes: whole(1_000_000, 67_108_864, "Bytes of request bodies held at once."),
      },
    },
    tls: { ...tlsSchema, description: "Certificate and key of the listener; CA for the node above (PEM files)." },
  },
} as const;

/** @throws config-unreadable, config-invalid, secret-unreadable */
export function loadRelayConfig(options: {
  readonly file?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly flags?: Readonly<Record<string, unknown>>;
}): RelayConfig {
  return loadConfig<RelayConfig>({ schema: relayConfigSchema, ...options });
}
