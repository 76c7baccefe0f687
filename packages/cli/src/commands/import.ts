import { Argument, Command } from "commander";
import { withClientOptions, withExamples, type ClientOptions, type Context } from "../command.ts";

const csvKinds: readonly (readonly [kind: string, columns: string])[] = [
  ["departments", "code,name,parent,costCentre,manager"],
  ["employees", "id,name,mail,department,title,manager"],
  ["devices", "id,hostname,serial,employee,department,manager,state"],
  [
    "entitlements",
    "license,metric,quantity,unitPrice,currency,purchasedAt,startsAt,expiresAt,rights,contract,order,department,certificate,supplier,parent,manager,packSize",
  ],
  ["rights", "department,license,rights,required,quota"],
  ["allocations", "license,device,employee,quantity,entitlement"],
];

export function importCommand(context: Context): Command {
  const command = withExamples(new Command("import"), [
    ["daicho import departments departments.csv --dry-run", "checks a file and changes nothing"],
    ["daicho import inventory scans/", "takes in every *.json of a directory"],
  ])
    .description("Bring data in: inventories of machines with no network, and day-one data as CSV")
    .addCommand(inventoryCommand(context));
  for (const [kind, columns] of csvKinds) command.addCommand(csvCommand(context, kind, columns));
  return command;
}

function inventoryCommand(context: Context): Command {
  return withClientOptions(
    withExamples(new Command("inventory"), [
      ["daicho import inventory pc1.json pc2.json", "takes in two inventories"],
      ["daicho import inventory scans/ --json", "every *.json below a directory; one result per file"],
    ]),
  )
    .description("Take in inventories made by `agent scan`; exit status 1 when any was rejected")
    .argument("<file...>", "inventories, or directories with *.json in them")
    .option("--json", "print { items } as JSON")
    .action(async (files: readonly string[], options: ClientOptions & { json?: true }) => {
      const { importInventories } = await import("../import/inventories.ts");
      context.outcome = await importInventories(files, options, context.io);
    });
}

function csvCommand(context: Context, kind: string, columns: string): Command {
  return withClientOptions(
    withExamples(new Command(kind), [
      [`daicho import ${kind} ${kind}.csv`, "takes in the file, all of it or nothing"],
      [
        `daicho import ${kind} ${kind}.csv --dry-run --encoding shift_jis`,
        "checks a Shift_JIS file and changes nothing",
      ],
    ]),
  )
    .description(`Take in ${kind} from CSV: ${columns}`)
    .addArgument(new Argument("<file>", "CSV with a header row"))
    .option("--dry-run", "check and change nothing")
    .option("--encoding <name>", "character set of the file: utf-8, shift_jis or gb18030", "utf-8")
    .option("--json", "print the result as JSON")
    .action(async (file: string, options: ClientOptions & { dryRun?: true; encoding: string; json?: true }) => {
      const { importCsv } = await import("../import/csv.ts");
      context.outcome = await importCsv(kind, file, options, context.io);
    });
}
