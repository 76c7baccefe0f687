/** Purpose: `daicho report changes`: each licence's difference, with a line for every cause below it; or the single events. */
import { count, text, type Item, type Report } from "./columns.ts";

const measures = ["used", "held", "rights", "requested", "required"];
type Numbers = Readonly<Record<string, number>>;

export function changesReport(detail: boolean): Report {
  const path = "/api/v1/positions/changes";
  return detail
    ? {
        path,
        pageSize: 1000,
        columns: [
          text("at"),
          text("cause"),
          text("license"),
          text("department"),
          text("measure"),
          count("by"),
          text("device"),
          text("employee"),
          text("entitlement"),
        ],
        lines: (item) => [withEmployee(item)],
      }
    : {
        path,
        columns: [
          text("license"),
          text("department"),
          text("cause"),
          count("count", "changes"),
          ...measures.map((measure) => count(measure)),
        ],
        lines: linesOf,
      };
}

/** The difference itself, then what it is made of. */
function linesOf(item: Item): readonly Item[] {
  const { license, department, causes } = item as { license: string; department?: string; causes: readonly Item[] };
  const from = item["from"] as Numbers;
  const to = item["to"] as Numbers;
  const left = item["unexplained"] as Numbers;
  const place = { license, department };
  const difference = Object.fromEntries(measures.map((m) => [m, (to[m] ?? 0) - (from[m] ?? 0)]));
  return [
    { ...place, cause: "(difference)", count: undefined, ...difference },
    ...causes.map((cause) => ({ ...place, ...cause })),
    ...(measures.some((m) => left[m] !== 0) ? [{ ...place, cause: "(unexplained)", ...left }] : []),
  ];
}

function withEmployee(item: Item): Item {
  const { before, after, ...rest } = item as { before?: { employee?: string }; after?: { employee?: string } };
  const [was, is] = [before?.employee, after?.employee];
  const employee = was === is || is === undefined ? was : was === undefined ? is : `${was} → ${is}`;
  return { ...rest, ...(employee !== undefined && { employee }) };
}
