/**
 * Purpose: the server's configuration (contract.md "Configuration"). The schema validates, fills defaults and documents.
 */
import { kernelErrors, loadConfig, tlsSchema, type TlsConfig } from "@daicho/kernel";
import { scheduleFault } from "./modules/purchases/index.ts";

export interface ServerConfig {
  readonly role: "corporate" | "group" | "both";
  readonly name: string;
  readonly listen: string;
  readonly database: string;
  readonly upstream?: {
    readonly url: string | readonly string[];
    readonly enrollmentToken?: string;
    readonly enrollmentTokenFile?: string;
    readonly tls?: TlsConfig;
  };
  readonly tls?: TlsConfig;
  /** Directory for the node's own files (its identity towards the group, imported blobs). */
  readonly data: string;
  readonly reports: {
    /** Reports waiting for their commit before senders are told to come back. */
    readonly queue: number;
    /** Reports that share one commit. */
    readonly group: number;
    /** New titles that one device may bring in a day. */
    readonly newTitles: number;
  };
  readonly heartbeatSeconds: number;
  readonly scim?: {
    readonly groups?: "departments" | "ignore";
    readonly createDepartments?: boolean;
    readonly url?: string;
  };
  readonly organization?: {
    /** IANA name. */
    readonly timezone?: string;
  };
  /** Absent = no purchase run by the calendar; one by hand is possible all the same. */
  readonly purchase?: {
    readonly enabled: boolean;
    readonly schedule: string;
    readonly timezone: string;
    readonly pooled: boolean;
    readonly pooledLicenses: readonly string[];
  };
  readonly mail?: { readonly smtp?: string; readonly from?: string };
  readonly alerts?: { readonly digest?: string; readonly timezone?: string };
}

export const serverConfigSchema = {
  $id: "https://daicho.example/schemas/server-config.json",
  title: "Configuration of a Daicho server",
  type: "object",
  additionalProperties: false,
  required: ["role", "name"],
  properties: {
    role: {
      type: "string",
      enum: ["corporate", "group", "both"],
      description: "corporate: counts one company. group: owns the enterprise policy. both: one server for both.",
    },
    name: {
      type: "string",
      pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
      description: "Company code, unique in the group.",
    },
    listen: {
      type: "string",
      pattern: "^(\\[[0-9a-fA-F:.]+\\]|[^:\\s]+):\\d{1,5}$",
      default: "127.0.0.1:7400",
      description: "Address and port to listen on; port 0 takes any free one.",
    },
    database: {
      type: "string",
      pattern: "^(sqlite:|postgres://|postgresql://)",
      default: "sqlite:./data/daicho.db",
      description: "sqlite:FILE (embedded) or postgres://user@host/database.",
    },
    upstream: {
      type: "object",
      additionalProperties: false,
      required: ["url"],
      description: "The group server above, if there is one.",
      properties: {
        url: { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" }, minItems: 1 }] },
        enrollmentToken: { type: "string", description: "Needed once; better given by enrollmentTokenFile." },
        enrollmentTokenFile: { type: "string" },
        tls: tlsSchema,
      },
    },
    tls: { ...tlsSchema, description: "Certificate, key and client CA of the listener (PEM files)." },
    data: { type: "string", default: "./data", description: "Directory for the node's own files." },
    reports: {
      type: "object",
      additionalProperties: false,
      default: {},
      properties: {
        queue: { type: "integer", minimum: 100, maximum: 100_000, default: 4000 },
        group: { type: "integer", minimum: 1, maximum: 1000, default: 100 },
        newTitles: {
          type: "integer",
          minimum: 1,
          default: 100_000,
          description: "New titles that one device may bring in a day (UTC); at each server, and since it started.",
        },
      },
    },
    organization: {
      type: "object",
      additionalProperties: false,
      default: {},
      properties: {
        timezone: {
          type: "string",
          default: "UTC",
          description: "Time zone, such as Asia/Tokyo, at whose midnight planned organisation changes are applied.",
        },
      },
    },
    heartbeatSeconds: {
      type: "integer",
      minimum: 10,
      default: 3600,
      description: "How often agents should come by when nothing changes.",
    },
    scim: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "People from an identity provider (/scim/v2).",
      properties: {
        groups: {
          type: "string",
          enum: ["departments", "ignore"],
          default: "departments",
          description: "departments: a group is a department, its members are its people. ignore: groups move nobody.",
        },
        createDepartments: {
          type: "boolean",
          default: true,
          description: "A department that a user names and nobody knows is made; false: the user is refused.",
        },
        url: {
          type: "string",
          pattern: "^https?://",
          description: "Address clients reach this server by, if a proxy hides it; used in the locations of resources.",
        },
      },
    },
    purchase: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "The purchase run by the calendar.",
      properties: {
        enabled: {
          type: "boolean",
          default: true,
          description: "false: only by hand, with `daicho purchase run`.",
        },
        schedule: {
          type: "string",
          default: "0 6 1 * *",
          description: "When, as in a crontab: minute, hour, day, month, weekday.",
        },
        timezone: {
          type: "string",
          default: "UTC",
          description: "Time zone of the schedule, and of the month that names a run's period.",
        },
        pooled: {
          type: "boolean",
          default: false,
          description: "true: the group server buys for this company; its own runs hand out what comes.",
        },
        pooledLicenses: {
          type: "array",
          items: { type: "string" },
          default: [],
          description: "Licences that the group server buys for this company, where it does not buy all of them.",
        },
      },
    },
    mail: {
      type: "object",
      additionalProperties: false,
      description: "Where mail goes out; kept for alerts, which are not sent yet.",
      properties: {
        smtp: { type: "string", pattern: "^smtps?://", description: "Mail server: smtp://host:587." },
        from: { type: "string", pattern: "^[^@\\s]+@[^@\\s]+$", description: "Address mail comes from." },
      },
    },
    alerts: {
      type: "object",
      additionalProperties: false,
      description: "When alerts are put together into one mail; kept for alerts, which are not sent yet.",
      properties: {
        digest: { type: "string", description: "When, as in a crontab: minute, hour, day, month, weekday." },
        timezone: { type: "string", description: "Time zone of the schedule." },
      },
    },
  },
} as const;

export function loadServerConfig(options: {
  readonly file?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly flags?: Readonly<Record<string, unknown>>;
}): ServerConfig {
  const config = loadConfig<ServerConfig>({ schema: serverConfigSchema, ...options });
  const { purchase, alerts } = config;
  const schedules = [
    ...(purchase ? [{ at: "purchase", key: "schedule", cron: purchase.schedule, timezone: purchase.timezone }] : []),
    ...(alerts ? [{ at: "alerts", key: "digest", cron: alerts.digest, timezone: alerts.timezone }] : []),
  ];
  const faults = schedules.flatMap(({ at, key, cron, timezone }) => {
    const fault = scheduleFault(cron ?? "0 0 * * *", timezone ?? "UTC");
    return fault === undefined ? [] : [`${at}.${fault.key === "schedule" ? key : fault.key}: ${fault.reason}`];
  });
  if (faults.length > 0)
    throw kernelErrors.make("config-invalid", { file: options.file ?? "configuration", faults: faults.join("; ") });
  return config;
}
