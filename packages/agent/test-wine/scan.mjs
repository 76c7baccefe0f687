// Runs inside Windows' (or Wine's) node.exe: a whole scan - no PowerShell here, so hardware comes down to the basics - as JSON in a file.
import { writeFileSync } from "node:fs";
import process from "node:process";
import { scan } from "../dist/index.js";

const [out] = process.argv.slice(2);
const { inventory } = await scan();
writeFileSync(out, JSON.stringify(inventory));
