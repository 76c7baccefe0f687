/** Purpose: the agent's configuration (contract.md "Configuration"): schema, defaults and the one way to read it. */
import { loadConfig, parseDuration, tlsSchema, type LoadConfigOptions, type TlsConfig } from "@daicho/kernel";

const duration = (value: string, description: string): object => ({
  type: "string",
  pattern: "^[0-9]{1,9}(ms|s|m|h|d)$",
  default: value,
  description,
});

export const agentConfigSchema = {
  $id: "https://daicho.example/schemas/agent.json",
  title: "Daicho agent",
  type: "object",
  additionalProperties: false,
  required: ["upstream"],
  properties: {
    upstream: {
      type: "array",
      minItems: 1,
      maxItems: 16,
      items: { type: "string" },
      description: "Relays or servers above, the preferred one first; the next is used when one fails.",
    },
    enrollmentToken: { type: "string", description: "Needed once, to enroll. Better given as a file." },
    enrollmentTokenFile: { type: "string", description: "File that holds the enrollment token." },
    data: { type: "string", default: "./data", description: "Where identity, spool and facts are kept." },
    heartbeat: duration("1h", "How often the agent says what it believes the server holds."),
    scan: {
      type: "object",
      additionalProperties: false,
      default: {},
      properties: {
        every: duration("6h", "Scan interval; each device has its own place in it."),
        splay: duration("30m", "Random delay added to each scan."),
        roots: {
          type: "array",
          items: { type: "string" },
          default: ["/"],
          description: "Directories searched for the files that the dictionary asks for.",
        },
        exclude: { type: "array", items: { type: "string" }, default: [], description: "Directories left out." },
        polite: {
          type: "boolean",
          default: true,
          description:
            "Take at most 5 % of one core while searching files. 400,000 files then take about 15 seconds instead of one.",
        },
        maxEntries: {
          type: "integer",
          minimum: 1,
          default: 20_000_000,
          description: "The file search ends after so many directory entries.",
        },
        maxDuration: duration("2h", "The file search ends after this time."),
      },
    },
    limits: {
      type: "object",
      additionalProperties: false,
      default: {},
      properties: {
        spoolBytes: {
          type: "integer",
          minimum: 1_048_576,
          default: 67_108_864,
          description: "Disk space for reports that wait; when it is used up, one full report takes their place.",
        },
      },
    },
    tls: tlsSchema,
  },
} as const;

export interface AgentConfig {
  readonly upstream: readonly string[];
  readonly enrollmentToken?: string;
  readonly enrollmentTokenFile?: string;
  readonly data: string;
  readonly heartbeat: string;
  readonly scan: {
    readonly every: string;
    readonly splay: string;
    readonly roots: readonly string[];
    readonly exclude: readonly string[];
    readonly polite: boolean;
    readonly maxEntries: number;
    readonly maxDuration: string;
  };
  readonly limits: { readonly spoolBytes: number };
  readonly tls?: TlsConfig;
}

/** @throws config-unreadable, config-invalid, secret-unreadable */
export function loadAgentConfig(options: Omit<LoadConfigOptions, "schema">): AgentConfig {
  return loadConfig<AgentConfig>({ ...options, schema: agentConfigSchema });
}

/** Milliseconds of a duration that the schema let through. */
export function milliseconds(text: string, atLeast = 0): number {
  return Math.max(atLeast, parseDuration(text) ?? 0);
}
