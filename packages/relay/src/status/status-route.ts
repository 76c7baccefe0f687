/** Purpose: `POST /ingest/v1/status` from the nodes below. */
import { validateStatusReport, type Certificate, type StatusAnswer } from "@daicho/protocol";
import type { Http } from "../http/app.ts";
import type { StatusBoard } from "./board.ts";
import type { Removed } from "./removed.ts";

const maxStatusBytes = 8 * 1024 * 1024;

export function registerStatus(http: Http, board: StatusBoard, removed: Pick<Removed, "ids">): void {
  http.app.post(
    "/ingest/v1/status",
    { onRequest: http.node("agent", "relay"), bodyLimit: maxStatusBytes },
    async (request): Promise<StatusAnswer> => {
      const { nodes } = await http.json(request, maxStatusBytes, validateStatusReport);
      const sender = request.node as Certificate;
      // An agent speaks for itself only.
      board.take(sender, sender.kind === "agent" ? nodes.filter((node) => node.id === sender.id) : nodes);
      return sender.kind === "relay" ? { removed: [...removed.ids] } : {};
    },
  );
}
