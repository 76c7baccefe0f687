/**
 * Purpose: what `/api/openapi.json` says of every operation alike, so that no route has to: a refusal is a problem document (at `/scim`, what RFC 7644
 * asks for), and a list can be had as CSV.
 * Invariants: only the document; what a route's answers are serialised by stays the route's own schema.
 */
import { Problem, problemContentType } from "@daicho/protocol";
import { itemsOf } from "./list.ts";

interface Answer {
  readonly content?: Readonly<Record<string, { readonly schema?: unknown }>>;
}
type Operation = Readonly<Record<string, unknown>> & { readonly responses?: Readonly<Record<string, Answer>> };

interface Document {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: Readonly<Record<string, unknown>>;
}

const refusals = {
  problem: {
    description: "Refused or failed: what is wrong, as a stable `code`, and what to do",
    content: { [problemContentType]: { schema: Problem } },
  },
  scimError: {
    description: "Refused or failed (RFC 7644 §3.12)",
    content: {
      "application/scim+json": {
        schema: {
          type: "object",
          required: ["schemas", "status"],
          properties: {
            schemas: { type: "array", items: { type: "string" } },
            status: { type: "string" },
            scimType: { type: "string" },
            detail: { type: "string" },
          },
        },
      },
    },
  },
};

export function describeAnswers(document: Document): object {
  const paths = mapValues(document.paths ?? {}, (operations, path) => {
    const refusal = path.startsWith("/scim/") ? "scimError" : "problem";
    return mapValues(operations, (operation, method) => ({
      ...operation,
      responses: {
        ...mapValues(operation.responses ?? {}, (answer) =>
          method === "get" && isList(answer) ? withCsv(answer) : answer,
        ),
        default: { $ref: `#/components/responses/${refusal}` },
      },
    }));
  });
  return { ...document, paths, components: { ...document.components, responses: refusals } };
}

function isList({ content }: Answer): boolean {
  return itemsOf(content?.["application/json"]?.schema) !== undefined;
}

function withCsv(answer: Answer): Answer {
  const schema = { type: "string", description: "A header row with the items' fields, and a row for each item" };
  return { ...answer, content: { ...answer.content, "text/csv": { schema } } };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A, name: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value, name)]));
}
