/** Every code the command itself can end with; codes of a server's answer are the server's. */
import { defineErrors, isDaichoError } from "@daicho/kernel";

export const cliErrors = defineErrors({
  usage: {
    status: 400,
    message: "{what}",
    action: "`{command} --help` shows what it takes.",
  },
  "file-unreadable": {
    status: 400,
    message: "{file}: cannot be read ({reason})",
    action: "Check the path and its permissions.",
  },
  "file-unwritable": {
    status: 500,
    message: "{file}: cannot be written ({reason})",
    action: "Check the path, its permissions and the free space.",
  },
  "path-unusable": {
    status: 500,
    message: "{path}: cannot be used ({reason})",
    action: "Check the path, its permissions and the free space.",
  },
  "file-invalid": {
    status: 400,
    message: "{file}: {reason}",
    action: "Give {expected}.",
  },
  "metric-rule-unknown": {
    status: 400,
    message: "the policies have no metric rule {id}; {known}",
    action: "Check the spelling of --metric, or name the policy that has the rule too.",
  },
  "metric-rule-not-in-force": {
    status: 400,
    message: "the metric rule {id} does not count yet at {at}",
    action: "Give a later day with --at.",
  },
  "server-not-named": {
    status: 400,
    message: "no server was named",
    action: "Give --server URL or set DAICHO_SERVER.",
  },
  "token-not-given": {
    status: 400,
    message: "no token was given",
    action: "Give --token or set DAICHO_TOKEN; `daicho admin token` on the server's host makes one.",
  },
  "server-unreachable": {
    status: 503,
    message: "{server}: no answer ({reason})",
    retryable: true,
    action: "Check the address, the network and the certificate; `daicho doctor --server {server}` looks closer.",
  },
  "answer-invalid": {
    status: 502,
    message: "{server}: the answer is none of a Daicho server ({reason})",
    action: "Check that the address is a Daicho server's and not a proxy's.",
  },
  "port-taken": {
    status: 500,
    message: "127.0.0.1:{port} is taken by another program",
    action: "Give another one with --port, or --port 0 for any that is free.",
  },
  "already-running": {
    status: 409,
    message: "{dir} is in use by process {pid}",
    action: "Stop that one first, or give another directory with --data.",
  },
  "node-not-started": {
    status: 500,
    message: "{file}: cannot listen on {address} ({reason})",
    action: "Choose another address under `listen`, or stop what uses it.",
  },
  "round-trip-missing": {
    status: 500,
    message: "{step} did not happen within {seconds} s",
    action: "{log} says what the nodes did; the newest event with level 40 or more is where to look.",
  },
  "enrollment-refused": {
    status: 403,
    message: "{server} refuses the enrolment ({code})",
    action: "Make a token with `daicho enrollment create`; it needs as many uses as there are devices.",
  },
});

/** What the operating system refuses about a file or directory, with its path and what to do; everything else as it is. */
export function tellingPath(error: unknown): unknown {
  const { code, path } = error as { code?: unknown; path?: unknown };
  if (isDaichoError(error) || typeof code !== "string" || typeof path !== "string") return error;
  return cliErrors.make("path-unusable", { path, reason: code }, { cause: error });
}
