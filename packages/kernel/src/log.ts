/**
 * Purpose: structured events with stable names. Inventories, tokens and personal data never enter a log.
 */
import { createRequire } from "node:module";
import type { Logger as PinoLogger } from "pino";

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

export interface Log {
  /** `event` is a stable name such as `report-rejected`; `fields` are ids and counts. */
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  child(fields: LogFields): Log;
}

function wrap(logger: PinoLogger): Log {
  return {
    info: (event, fields) => logger.info({ event, ...fields }),
    warn: (event, fields) => logger.warn({ event, ...fields }),
    error: (event, fields) => logger.error({ event, ...fields }),
    debug: (event, fields) => logger.debug({ event, ...fields }),
    child: (fields) => wrap(logger.child({ ...fields })),
  };
}

/** Logs as JSON lines to standard error, or to the end of the file named; standard output belongs to data. Level: DAICHO_LOG_LEVEL or `info`. */
export function createLog(
  fields: LogFields = {},
  level = process.env["DAICHO_LOG_LEVEL"] ?? "info",
  destination: number | string = 2,
): Log {
  // Loaded here and not above: most commands log nothing.
  const { pino } = createRequire(import.meta.url)("pino") as typeof import("pino");
  return wrap(
    pino({ level, base: { ...fields }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(destination)),
  );
}

export const silentLog: Log = { info() {}, warn() {}, error() {}, debug() {}, child: () => silentLog };
