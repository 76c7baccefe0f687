/** Purpose: `daicho enrollment create`: the token and nothing else, ready for `$(…)`. */
import { parseDuration } from "@daicho/kernel";
import { createApiClient } from "../client/client.ts";
import { usage, type ClientOptions, type Outcome } from "../command.ts";
import { cliErrors } from "../errors.ts";
import { say, type Io } from "../io.ts";

export async function createEnrollmentToken(
  options: ClientOptions & {
    readonly department?: string;
    readonly uses?: number;
    readonly expires: string;
    readonly json?: true;
  },
  io: Io,
): Promise<Outcome> {
  const expiresAt = await expiryOf(options.expires, "enrollment create");
  const client = await createApiClient(options);
  const { department, uses } = options;
  const { body } = await client.send("POST", "/api/v1/enrollment-tokens", {
    type: "application/json",
    bytes: JSON.stringify({
      ...(department !== undefined && { department }),
      ...(uses !== undefined && { uses }),
      expiresAt,
    }),
  });
  const { token } = (body ?? {}) as { token?: unknown };
  if (typeof token !== "string") throw cliErrors.make("answer-invalid", { server: client.server, reason: "no token" });
  await say(io.out, options.json === true ? JSON.stringify(body) : token);
  return 0;
}

/** The moment a duration from now ends, RFC 3339. @throws usage */
export async function expiryOf(duration: string, command: string, now: number = Date.now()): Promise<string> {
  const ms = parseDuration(duration);
  if (ms === undefined || ms <= 0) return usage(command, `--expires ${duration}: is no duration such as 12h or 7d`);
  return new Date(now + ms).toISOString();
}
