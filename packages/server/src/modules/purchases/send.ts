/**
 * Purpose: a purchase run as a body. A first run over 1,000 departments and 100 licences changes 100,000 rights: it is written in slices, so that
 * nobody else waits for it. As CSV it is one table of all its report says: orders, who pays for them, what idle rights saved, what is lacking but was
 * not bought, and every right that changed.
 */
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { sendItems } from "../../http/items.ts";
import { wantsCsv } from "../../http/list.ts";
import { breathe } from "../../slices.ts";
import type { PurchaseRun } from "./answer.ts";

export function sendRun(
  request: FastifyRequest,
  reply: FastifyReply,
  run: PurchaseRun,
  options: { readonly csv?: boolean } = {},
): FastifyReply {
  if (options.csv === true || wantsCsv(request)) {
    void reply.header("content-disposition", `attachment; filename="purchase-${run.period}.csv"`);
    return sendItems(asCsv(request), reply, {}, linesOf(run), columns);
  }
  return reply.type("application/json; charset=utf-8").send(Readable.from(jsonOf(run)));
}

/** The address may say `.csv` where the header does not. */
function asCsv(request: FastifyRequest): FastifyRequest {
  request.headers.accept = "text/csv";
  return request;
}

function* linesOf(run: PurchaseRun): Generator<object> {
  const head = { period: run.period, run: run.id };
  for (const order of run.orders) yield { ...head, kind: "order", ...order };
  for (const chargeback of run.chargebacks) yield { ...head, kind: "chargeback", ...chargeback };
  for (const saved of run.savedByIdle) yield { ...head, kind: "saved-by-idle", ...saved };
  for (const skipped of run.skipped) yield { ...head, kind: "skipped", ...skipped };
  for (const right of run.rights) yield { ...head, kind: "rights", ...right };
}

const columns = [
  ...["kind", "period", "run", "license", "department", "costCentre", "quantity", "unitPrice", "amount", "currency"],
  ...["order", "supplierOrder", "packSize", "reason", "before", "after", "requestedBefore", "requestedAfter"],
];

const sliceSize = 1000;

async function* jsonOf(run: PurchaseRun): AsyncGenerator<string> {
  let between = "{";
  for (const [name, value] of Object.entries(run)) {
    yield `${between}${JSON.stringify(name)}:`;
    between = ",";
    if (!Array.isArray(value)) {
      yield JSON.stringify(value);
      continue;
    }
    yield "[";
    for (let at = 0; at < value.length; at += sliceSize) {
      yield (at === 0 ? "" : ",") + JSON.stringify(value.slice(at, at + sliceSize)).slice(1, -1);
      await breathe();
    }
    yield "]";
  }
  yield "}";
}
