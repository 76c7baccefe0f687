/**
 * Purpose: `/` - one plain page with departments and their positions, the company's position, the nodes and how far they lag, until the
 * console is there. It shows numbers, so it asks for an API token: as the password of HTTP Basic (any user name) or as a bearer header,
 * never in the address.
 */
import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import type { Position } from "@daicho/protocol";
import type { Clock } from "@daicho/kernel";
import { serverErrors } from "../../errors.ts";
import { apiRoles, type AccessService } from "../access/index.ts";
import type { Nodes } from "../nodes/index.ts";
import { renderPage, style, type CompanyLine, type DepartmentLine } from "./template.ts";
import { languageOf } from "./words.ts";

export type { CompanyLine, DepartmentLine } from "./template.ts";

/** What the page shows besides nodes; each is absent where the server has no such numbers. */
export interface PageNumbers {
  readonly positions?: () => Promise<readonly Position[]>;
  /** More than `limit` need not be made. */
  readonly departments?: (limit: number) => Promise<readonly DepartmentLine[]>;
  readonly companies?: () => Promise<readonly CompanyLine[]>;
}

/** Of each table: a page is to be read, the API has them all. */
const maxLines = 2000;
const styleHash = createHash("sha256").update(style).digest("base64");

export function pageRoute(
  app: FastifyInstance,
  deps: {
    readonly access: AccessService;
    readonly nodes: Nodes;
    readonly numbers: PageNumbers;
    readonly clock: Clock;
    readonly company: string;
  },
): void {
  const { access, nodes, numbers, clock } = deps;
  app.get("/", { schema: { hide: true } }, async (request, reply) => {
    const token = tokenOf(request.headers.authorization);
    const caller = token === undefined ? undefined : await access.authenticate(token);
    if (caller === undefined) {
      void reply.header("www-authenticate", 'Basic realm="Daicho - API token as password", charset="UTF-8"');
      throw serverErrors.make("not-authenticated");
    }
    if (apiRoles.indexOf(caller.role) > apiRoles.indexOf("auditor"))
      throw serverErrors.make("not-allowed", { role: caller.role, needed: "auditor" });
    const [positions, departments, companies, distribution] = await Promise.all([
      numbers.positions?.(),
      numbers.departments?.(maxLines + 1),
      numbers.companies?.(),
      nodes.distribution({ limit: maxLines }),
    ]);
    const html = renderPage({
      language: languageOf(request.headers["accept-language"]),
      title: deps.company,
      at: new Date(clock.now()).toISOString(),
      ...(positions && { positions: positions.slice(0, maxLines) }),
      ...(departments && { departments: departments.slice(0, maxLines) }),
      ...(companies && { companies: companies.slice(0, maxLines) }),
      nodes: distribution.items,
      truncated:
        distribution.next !== undefined || [positions, departments, companies].some((l) => (l?.length ?? 0) > maxLines),
    });
    return reply
      .headers({
        "content-security-policy": `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        vary: "accept-language, authorization",
      })
      .type("text/html; charset=utf-8")
      .send(html);
  });
}

function tokenOf(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 1024) return undefined;
  const [scheme, value] = header.split(" ", 2);
  if (value === undefined) return undefined;
  if (scheme?.toLowerCase() === "bearer") return value.trim();
  if (scheme?.toLowerCase() !== "basic") return undefined;
  const pair = Buffer.from(value, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon === -1 ? undefined : pair.slice(colon + 1).trim();
}
