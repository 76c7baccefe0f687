import { Command } from "commander";
import { withClientOptions, withExamples, type ClientOptions, type Context } from "../command.ts";

export interface DoctorOptions extends ClientOptions {
  readonly config?: string;
  readonly data: readonly string[];
  readonly json?: true;
}

export function doctorCommand(context: Context): Command {
  return withClientOptions(
    withExamples(new Command("doctor"), [
      [
        "daicho doctor --config server.yaml",
        "configuration, store, signatures, clock and upstream of a node on this host",
      ],
      ["daicho doctor --server http://127.0.0.1:7400 --token …", "asks a running server, and recomputes its totals"],
      ["daicho doctor --data /var/lib/daicho", "identity, dictionary and spool of an agent or relay"],
    ]),
  )
    .description("Check store, signatures, clocks, upstream and totals; exit status 1 when something is wrong")
    .option("--config <file>", "configuration of a server, relay or agent on this host")
    .option(
      "--data <dir>",
      "data directory of an agent or relay; repeatable",
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .option("--json", "print { checks } as JSON")
    .action(async (options: DoctorOptions) => {
      const { doctor } = await import("../doctor/doctor.ts");
      context.outcome = await doctor(options, context.io);
    });
}
