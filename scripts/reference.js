#!/usr/bin/env node
/**
 * docs/reference/{errors,configuration,cli}.md are made from the tables and schemas the programs run on. Without arguments this compares them
 * with what is committed and fails on any difference, so that no code, key or option is undocumented or documented and gone; `--write` writes them.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { agentConfigSchema, agentErrors } from "@daicho/agent";
import { cliErrors, renderCliReference } from "@daicho/cli";
import { kernelErrors } from "@daicho/kernel";
import { policyFaults } from "@daicho/policy";
import { reportAnswers } from "@daicho/protocol";
import { relayConfigSchema, relayErrors } from "@daicho/relay";
import { rowFaults, scimErrors, serverConfigSchema, serverErrors } from "@daicho/server";
import { spoolErrors } from "@daicho/spool";
import { uplinkErrors } from "@daicho/uplink";

const generated =
  "<!-- Made by scripts/reference.js from the tables in the code. `npm run check -- --fix` renews it. -->\n\n";
const cell = (text) => String(text).replaceAll("|", "\\|").replaceAll("\n", " ");

function errors() {
  const tables = {
    Server: serverErrors.table,
    "Server, /scim/v2 (in brackets at the end of SCIM's `detail`)": scimErrors.table,
    "One report of a batch (`POST /ingest/v1/reports`)": reportAnswers,
    Relay: relayErrors.table,
    Agent: agentErrors.table,
    "Towards the node above (agent, relay, a company's server)": uplinkErrors.table,
    "Spool (agent, relay)": spoolErrors.table,
    "Command line": cliErrors.table,
    "Configuration and start": kernelErrors.table,
    "Rows of imported files": rowFaults.table,
    "Policy language": policyFaults,
  };
  let text = `# Errors\n\n${generated}Every error has a stable code. Callers match on the code, never on the text. Problem documents (RFC 9457) carry it as \`code\`.\n`;
  for (const [title, table] of Object.entries(tables)) {
    text += `\n## ${title}\n\n| code | status | message | try again | what to do |\n| --- | --- | --- | --- | --- |\n`;
    for (const [code, entry] of Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)))
      text += `| \`${code}\` | ${entry.status} | ${cell(entry.message)} | ${entry.retryable ? "yes" : "no"} | ${cell(entry.action)} |\n`;
  }
  return text;
}

function configuration() {
  let text = `# Configuration\n\n${generated}YAML; an unknown or wrong key is refused with its path. Every key can be set by environment: \`DAICHO_\` + the path in upper case, joined by \`_\`. Keys ending in \`TokenFile\`, \`PasswordFile\` or \`SecretFile\` take the secret from a file. Defaults < file < environment < flags.\n`;
  const rows = (schema, prefix, required) => {
    let out = "";
    for (const [key, sub] of Object.entries(schema.properties ?? {})) {
      const path = prefix === "" ? key : `${prefix}.${key}`;
      if (sub.properties !== undefined) {
        if (sub.description !== undefined) out += `| \`${path}\` | | | ${cell(sub.description)} |\n`;
        out += rows(sub, path, sub.required ?? []);
        continue;
      }
      const type = sub.enum?.join(", ") ?? sub.type ?? sub.anyOf?.map((one) => one.type).join(" or ") ?? "";
      const fallback = required.includes(key)
        ? "required"
        : sub.default === undefined
          ? ""
          : `\`${JSON.stringify(sub.default)}\``;
      out += `| \`${path}\` | ${cell(type)} | ${fallback} | ${cell(sub.description ?? "")} |\n`;
    }
    return out;
  };
  for (const [title, schema] of [
    ["Server", serverConfigSchema],
    ["Relay", relayConfigSchema],
    ["Agent", agentConfigSchema],
  ])
    text += `\n## ${title}\n\n| key | type | default | |\n| --- | --- | --- | --- |\n${rows(schema, "", schema.required ?? [])}`;
  return text;
}

const pages = {
  "docs/reference/errors.md": errors(),
  "docs/reference/configuration.md": configuration(),
  "docs/reference/cli.md": renderCliReference(),
};

let stale = 0;
for (const [file, text] of Object.entries(pages)) {
  if (process.argv.includes("--write")) writeFileSync(file, text);
  else if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
    console.error(`${file} does not say what the code says: npm run check -- --fix`);
    stale++;
  }
}
process.exit(stale === 0 ? 0 : 1);
