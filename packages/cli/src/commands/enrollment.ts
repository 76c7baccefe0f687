import { Command, InvalidArgumentError } from "commander";
import { withClientOptions, withExamples, type ClientOptions, type Context } from "../command.ts";

export function enrollmentCommand(context: Context): Command {
  return withExamples(new Command("enrollment"), [
    ["daicho enrollment create --uses 500 --expires 7d", "a token for five hundred agents"],
  ])
    .description("Let agents, relays and subsidiaries' servers in")
    .addCommand(createCommand(context));
}

function createCommand(context: Context): Command {
  return withClientOptions(
    withExamples(new Command("create"), [
      ["daicho enrollment create", "prints a token that any number of nodes may use, for seven days"],
      ["daicho enrollment create --department A110 --uses 20", "new devices come into department A110"],
    ]),
  )
    .description("Print a new enrolment token for agents, relays or a subsidiary's server")
    .option("--department <code>", "department that new devices come into")
    .option("--uses <n>", "how many nodes may enrol with it; absent = any number", wholeNumber)
    .option("--expires <duration>", "how long it is good, such as 12h or 7d", "7d")
    .option("--json", "print { id, token } as JSON")
    .action(async (options: ClientOptions & { department?: string; uses?: number; expires: string; json?: true }) => {
      const { createEnrollmentToken } = await import("../admin/enrollment.ts");
      context.outcome = await createEnrollmentToken(options, context.io);
    });
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 1.");
  return Number(text);
}
