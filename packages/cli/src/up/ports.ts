/** Purpose: ports of `daicho up`, all on the loopback address: the corporate server's as asked, the others' beside it where free. */
import { createServer } from "node:net";
import { cliErrors } from "../errors.ts";

export async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/** @throws port-taken */
export async function demandFree(port: number): Promise<void> {
  if (port !== 0 && !(await isFree(port))) throw cliErrors.make("port-taken", { port });
}

/** The port `offset` above, or any free one. */
export async function portBeside(port: number, offset: number): Promise<number> {
  const wanted = port === 0 ? 0 : port + offset;
  return wanted !== 0 && wanted <= 65_535 && (await isFree(wanted)) ? wanted : 0;
}
