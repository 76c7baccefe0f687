import { Command } from "commander";
import { withClientOptions, withExamples, type ClientOptions, type Context } from "../command.ts";

export interface OrgOptions extends ClientOptions {
  readonly json?: true;
}

export function orgCommand(context: Context): Command {
  return withExamples(new Command("org"), [
    ["daicho org preview april.json", "what the changes in the file would do; nothing is kept"],
    ["daicho org apply april.json", "does it, or plans it where the file has an `effectiveOn`"],
  ])
    .description("Change the organisation: people that come, move and leave, departments that merge, split and end")
    .addCommand(one(context, "preview", "Print what the changes would do; nothing is kept"))
    .addCommand(one(context, "apply", "Apply the changes, all in one transaction, or plan them for their day"));
}

function one(context: Context, name: "preview" | "apply", says: string): Command {
  return withClientOptions(
    withExamples(new Command(name), [
      [
        `daicho org ${name} april.json`,
        'the file: { "changes": [ { "type": "merge", "department": "D2", "to": "D1" } ] }',
      ],
      [`daicho org ${name} april.json --json`, "the server's whole answer"],
    ]).option("--json", "print the server's answer as JSON"),
  )
    .description(says)
    .argument("<file>", "JSON: the body of `POST /api/v1/org-changes`")
    .action(async (file: string, options: OrgOptions) => {
      const { changeOrganisation } = await import("../org/org.ts");
      context.outcome = await changeOrganisation(name, file, options, context.io);
    });
}
