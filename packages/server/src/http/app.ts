/**
 * Purpose: what every route of the server stands on: limits of requests, problems as answers, the API's description, TLS, long answers in slices.
 */
import "@fastify/swagger";
import fastify, { type FastifyInstance } from "fastify";
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import websocket from "@fastify/websocket";
import { readTls, type Clock, type Log } from "@daicho/kernel";
import { maxBatchBytes } from "@daicho/protocol";
import type { ServerConfig } from "../config.ts";
import { describeAnswers } from "./openapi.ts";
import { installProblems, unreadableAddress } from "./problem.ts";
import { watchRoutes } from "./routes.ts";
import { compiledOnFirstUse } from "./schemas.ts";
import { installSlicedAnswers } from "./sliced-answers.ts";

export async function createHttp({
  config,
  clock,
  log,
}: {
  readonly config: Pick<ServerConfig, "tls">;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<{ readonly app: FastifyInstance; /** With TLS. */ readonly secure: boolean }> {
  const tls = readTls(config.tls);
  const app = fastify({
    bodyLimit: maxBatchBytes,
    // Idle agents keep their sockets: Node's 5 s default would close them between two reports.
    keepAliveTimeout: 72_000,
    // Nobody holds a connection by sending a body for ever.
    requestTimeout: 300_000,
    forceCloseConnections: true,
    ...(tls?.cert !== undefined && { https: { ...tls } }),
    schemaController: compiledOnFirstUse,
    // Ids have up to 128 characters, each up to nine in an address.
    routerOptions: { maxParamLength: 2048 },
    frameworkErrors: unreadableAddress,
    // The schemas are ours and typed: holding each against the meta-schema costs a good part of every start.
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: "array",
        allErrors: false,
        strict: false,
        validateSchema: false,
      },
    },
  } as Record<string, unknown>) as unknown as FastifyInstance;
  installProblems(app, { clock, log, methodsOf: watchRoutes(app) });
  installSlicedAnswers(app);
  await app.register(websocket, { options: { maxPayload: 1024 * 1024 } });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Daicho", description: "Software licence ledger", version: "1" },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
    transformObject: (document) => describeAnswers((document as { openapiObject: object }).openapiObject),
  });
  await app.register(swaggerUi, { routePrefix: "/api/docs" });
  app.get("/api/openapi.json", { schema: { hide: true } }, () => app.swagger());
  app.get("/healthz", { schema: { hide: true } }, () => ({ status: "alive" }));
  return { app, secure: tls?.cert !== undefined };
}
