import { Command, Option } from "commander";
import { withExamples, type Context } from "../command.ts";

export function adminCommand(context: Context): Command {
  return withExamples(new Command("admin"), [["daicho admin token --config server.yaml", "the first way in"]])
    .description("Administer a server from its own host")
    .addCommand(tokenCommand(context));
}

function tokenCommand(context: Context): Command {
  return withExamples(new Command("token"), [
    ["daicho admin token --config server.yaml", "prints a new administrator's token, and nothing else"],
    ["export DAICHO_TOKEN=$(daicho admin token --config server.yaml --role auditor)", "a token that may only read"],
  ])
    .description("Print a new API token; opens the database directly, so it needs no token itself")
    .requiredOption("--config <file>", "the server's configuration (YAML)")
    .addOption(
      new Option("--role <role>", "what the token may do")
        .choices(["admin", "manager", "auditor", "provisioner"])
        .default("admin"),
    )
    .option("--name <name>", "what the token is for", "daicho admin token")
    .option("--expires <duration>", "how long it is good, such as 12h or 90d; absent = until revoked")
    .option("--json", "print { id, token } as JSON")
    .action(
      async (options: {
        config: string;
        role: "admin" | "manager" | "auditor" | "provisioner";
        name: string;
        expires?: string;
        json?: true;
      }) => {
        const { printAdminToken } = await import("../admin/token.ts");
        context.outcome = await printAdminToken(options, context.io);
      },
    );
}
