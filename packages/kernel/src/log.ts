/**
 * Purpose: structured events with stable names. Inventories, tokens and personal data never enter a log.
 */
import { createRequire } from "node:module";
import type { Logger as PinoLogger } from "pino";
import type { Clock } from "./clock.ts";

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

export interface Log {
  /** `event` is a stable name such as `report-rejected`; `fields` are ids and counts. */
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  child(fields: LogFields): Log;
}

/** What every line says (`base`) is put in here and not by the logger, which would write a field of the same name beside it: no key stands twice. */
function wrap(logger: PinoLogger, base: LogFields): Log {
  return {
    info: (event, fields) => logger.info({ ...base, event, ...fields }),
    warn: (event, fields) => logger.warn({ ...base, event, ...fields }),
    error: (event, fields) => logger.error({ ...base, event, ...fields }),
    debug: (event, fields) => logger.debug({ ...base, event, ...fields }),
    child: (fields) => wrap(logger, { ...base, ...fields }),
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
  const settings = { level, base: {}, timestamp: pino.stdTimeFunctions.isoTime };
  return wrap(pino(settings, pino.destination(destination)), fields);
}

export const silentLog: Log = { info() {}, warn() {}, error() {}, debug() {}, child: () => silentLog };

const sparedEveryMs = 60_000;
const sparedKeys = 10_000;

/**
 * For warnings that whoever calls can cause as often as they like: of one event by one `node` (the field of that name) the first `most` a minute are
 * written; the first one after that minute says how many were left out (`unwritten`). A hostile sender is named and does not fill the disk.
 */
export function sparing(log: Log, clock: Pick<Clock, "now">, most = 20): Pick<Log, "warn"> {
  const seen = new Map<string, { since: number; count: number }>();
  return {
    warn(event, fields = {}) {
      const now = clock.now();
      const key = `${event} ${String(fields["node"] ?? "")}`;
      const known = seen.get(key);
      // A clock that was set back begins anew, too.
      if (known !== undefined && now >= known.since && now - known.since < sparedEveryMs) {
        if (++known.count <= most) log.warn(event, fields);
        return;
      }
      seen.delete(key);
      if (seen.size >= sparedKeys) seen.delete(seen.keys().next().value as string);
      seen.set(key, { since: now, count: 1 });
      const unwritten = known === undefined ? 0 : Math.max(0, known.count - most);
      log.warn(event, unwritten === 0 ? fields : { ...fields, unwritten });
    },
  };
}
