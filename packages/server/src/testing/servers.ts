/** Purpose: for tests of one module: this server is the only one, and on duty. */
import type { Servers } from "../db/servers.ts";

export const onlyServer: Pick<Servers, "onDuty" | "duty" | "tell" | "hear" | "ask" | "answer"> = {
  onDuty: true,
  duty: (changed) => changed(true),
  tell: () => undefined,
  hear: () => () => undefined,
  ask: () => Promise.resolve([]),
  answer: () => undefined,
};
