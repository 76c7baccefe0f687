/**
 * Purpose: docs/reference/cli.md, made from the commands themselves so that the two cannot differ (`npm run check` compares).
 */
import type { Command } from "commander";
import { examplesOf, type Context } from "./command.ts";
import { buildProgram, everyCommand, fullName } from "./program.ts";

const head = `# Command line: \`daicho\`

Made from the commands themselves (\`npm run check -- --fix\`); do not edit. From a checkout: \`npx daicho …\`.

Exit status: 0 done · 1 failed · 2 wrong usage. Data goes to standard output; errors go to standard error as one line: what, where,
what to do. Client commands take \`--server\` and \`--token\`, or \`DAICHO_SERVER\` and \`DAICHO_TOKEN\`.
`;

export function renderCliReference(): string {
  const silent = { write: () => Promise.resolve(), isTerminal: false, columns: 80 };
  const context: Context = {
    io: { out: silent, err: silent, env: {}, stopSignal: () => new AbortController().signal },
    outcome: 0,
  };
  const leaves = [...everyCommand(buildProgram(context))].filter((command) => command.commands.length === 0);
  return [head, ...leaves.map(section)].join("\n");
}

function section(command: Command): string {
  const name = fullName(command);
  const help = command.createHelp();
  const rows = [
    ...command.registeredArguments.map((argument) => [help.argumentTerm(argument), help.argumentDescription(argument)]),
    ...help.visibleOptions(command).map((option) => [option.flags, help.optionDescription(option)]),
  ];
  return [
    `## ${name}`,
    "",
    `${command.description()}.`,
    "",
    "```",
    `${name} ${command.usage()}`,
    "```",
    "",
    "| | |",
    "|---|---|",
    ...rows.map(([term, says]) => `| \`${term ?? ""}\` | ${(says ?? "").replaceAll("|", "\\|")} |`),
    "",
    ...examplesOf(command).map(({ line, says }) => `- \`${line}\` – ${says}`),
    "",
  ].join("\n");
}
