/**
 * Purpose: the page as HTML. Invariant: everything that comes from data goes through `escape`; there is no script, no address of
 * another host and nothing to load.
 */
import type { Position } from "@daicho/protocol";
import type { DistributionItem } from "../nodes/index.ts";
import { wordsOf, type Language, type Word } from "./words.ts";

/** One department and licence, as `/departments/{code}/positions` shows it. */
export interface DepartmentLine {
  readonly department: string;
  readonly name: string;
  /** 0 = top of the tree. */
  readonly depth: number;
  readonly license: string;
  readonly rights: number;
  readonly requested: number;
  readonly used: number;
  readonly overUnder: number;
}

export interface CompanyLine {
  readonly name: string;
  readonly version?: number;
  readonly devices?: number;
  readonly at?: string;
}

export interface PageContent {
  readonly language: Language;
  readonly title: string;
  readonly at: string;
  /** Absent where this server is no company of its own. */
  readonly positions?: readonly Position[];
  readonly departments?: readonly DepartmentLine[];
  readonly companies?: readonly CompanyLine[];
  readonly nodes: readonly DistributionItem[];
  /** Some table goes on. */
  readonly truncated: boolean;
}

export function escape(value: string | number | undefined): string {
  return String(value ?? "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

export const style = `
body{font:15px/1.5 system-ui,"Noto Sans CJK JP",sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1c1c1c;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}
th{background:#f3f3f0;position:sticky;top:0}.n{text-align:right;font-variant-numeric:tabular-nums}
.short{color:#a40000;font-weight:600}.failed{color:#a40000}.complete{color:#0a6b2d}small{color:#666}
@media (prefers-color-scheme:dark){body{background:#16181b;color:#e6e6e6}th{background:#24272b}th,td{border-color:#3a3d42}.short,.failed{color:#ff8a80}.complete{color:#7fd99a}small{color:#aaa}}
`;

export function renderPage(content: PageContent): string {
  const w = wordsOf(content.language);
  const sections = [
    content.positions && section(w("company"), positionTable(content.positions), w),
    content.departments && section(w("departments"), departmentTable(content.departments), w),
    content.companies && section(w("companies"), companyTable(content.companies), w),
    section(w("nodes"), nodeTable(content.nodes, w), w),
  ];
  return `<!doctype html>
<html lang="${content.language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Daicho – ${escape(content.title)}</title><style>${style}</style></head>
<body><h1>Daicho 台帳 – ${escape(content.title)}</h1>
<p><small>${w("at")} <time datetime="${escape(content.at)}">${escape(content.at)}</time></small></p>
${sections.filter((s) => s !== undefined).join("\n")}
${content.truncated ? `<p>${escape(w("truncated"))}</p>` : ""}
</body></html>
`;
}

type Words = (word: Word) => string;
interface Table {
  readonly head: readonly Word[];
  /** Number columns. */
  readonly numbers: readonly Word[];
  /** Cells are HTML. */
  readonly rows: readonly (readonly string[])[];
}

function section(title: string, { head, numbers, rows }: Table, w: Words): string {
  if (rows.length === 0) return `<h2>${escape(title)}</h2><p>${w("empty")}</p>`;
  const isNumber = (i: number): boolean => numbers.includes(head[i] as Word);
  const kind = (i: number): string => (isNumber(i) ? ' class="n"' : "");
  const heading = head.map((word, i) => `<th scope="col"${kind(i)}>${escape(w(word))}</th>`);
  const body = rows.map((row) => `<tr>${row.map((html, i) => `<td${kind(i)}>${html}</td>`).join("")}</tr>`);
  return `<h2>${escape(title)}</h2>\n<table><thead><tr>${heading.join("")}</tr></thead>\n<tbody>${body.join("\n")}</tbody></table>`;
}

function signed(value: number): string {
  return value < 0 ? `<span class="short">${escape(value)}</span>` : escape(value);
}

function positionTable(positions: readonly Position[]): Table {
  const numbers = ["required", "held", "rights", "requested", "used", "overUnder", "idle"] as const;
  return {
    head: ["license", "metric", ...numbers],
    numbers,
    rows: positions.map((p) => [
      `${escape(p.name)} <small>${escape(p.license)}</small>`,
      escape(p.metric),
      escape(p.required),
      escape(p.held),
      escape(p.rights),
      escape(p.requested),
      escape(p.used),
      signed(p.overUnder),
      escape(p.idle),
    ]),
  };
}

function departmentTable(lines: readonly DepartmentLine[]): Table {
  const numbers = ["rights", "requested", "used", "overUnder"] as const;
  return {
    head: ["department", "license", ...numbers],
    numbers,
    rows: lines.map((line, i) => [
      // A department's name once, above its licences.
      lines[i - 1]?.department === line.department
        ? ""
        : `${"&emsp;".repeat(Math.min(line.depth, 12))}${escape(line.name)} <small>${escape(line.department)}</small>`,
      escape(line.license),
      escape(line.rights),
      escape(line.requested),
      escape(line.used),
      signed(line.overUnder),
    ]),
  };
}

function companyTable(companies: readonly CompanyLine[]): Table {
  return {
    head: ["company", "devices", "version", "at"],
    numbers: ["devices", "version"],
    rows: companies.map((c) => [escape(c.name), escape(c.devices), escape(c.version), escape(c.at)]),
  };
}

function nodeTable(nodes: readonly DistributionItem[], w: Words): Table {
  return {
    head: ["node", "kind", "company", "policy", "dictionary", "state", "lag", "waiting", "lastSeen"],
    numbers: ["policy", "dictionary", "lag", "waiting"],
    rows: nodes.map((n) => [
      escape(n.name),
      escape(w(n.kind)),
      escape(n.company),
      escape(n.policy),
      escape(n.dictionary),
      `<span class="${escape(n.state)}">${escape(w(n.state))}</span>${n.reason === undefined ? "" : `<br><small>${escape(n.reason.code)}: ${escape(n.reason.message)}</small>`}`,
      escape(n.lag.versions),
      `${escape(n.spool?.records)}${n.lag.seconds === undefined ? "" : ` <small>${escape(n.lag.seconds)} s</small>`}`,
      escape(n.lastSeenAt),
    ]),
  };
}
