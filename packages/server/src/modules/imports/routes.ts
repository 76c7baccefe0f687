/** Purpose: `POST /api/v1/imports/…`: a CSV file as the body. The caller is known before a byte of it is read. */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { inputInvalid } from "../../http/problem.ts";
import { unpackGzip } from "../../http/unpack.ts";
import { encodingOf, encodings, type Encoding } from "./decode.ts";
import { importKinds, type Imports } from "./service.ts";

const maxFileBytes = 128 * 1024 * 1024;
const types = ["text/csv", "text/plain", "application/octet-stream"];

const Fault = Type.Object({
  line: Type.Integer(),
  column: Type.Optional(Type.String()),
  code: Type.String(),
  message: Type.String(),
});

export function importRoutes(
  app: FastifyInstance,
  deps: { readonly imports: Imports; readonly authorize: Authorize },
): void {
  // A scope of its own, so that only these routes take such bodies.
  void app.register((scope, _options, done) => {
    for (const type of types) {
      if (scope.hasContentTypeParser(type)) scope.removeContentTypeParser(type);
      scope.addContentTypeParser(type, { parseAs: "buffer", bodyLimit: maxFileBytes }, (_request, body, next) =>
        next(null, body),
      );
    }
    for (const kind of importKinds)
      scope.post<{ Querystring: { dryRun?: boolean; encoding?: string } }>(
        `/api/v1/imports/${kind}`,
        {
          onRequest: deps.authorize.role("manager"),
          preParsing: unpackGzip,
          bodyLimit: maxFileBytes,
          schema: {
            tags: ["imports"],
            summary: `Import ${kind} from a CSV file; all or nothing`,
            consumes: types,
            querystring: Type.Object({
              dryRun: Type.Optional(Type.Boolean({ default: false, description: "Check everything, write nothing" })),
              encoding: Type.Optional(
                Type.String({ maxLength: 32, description: `${encodings.join(", ")}; UTF-8 unless told otherwise` }),
              ),
            }),
            response: {
              200: Type.Object({
                kind: Type.String(),
                dryRun: Type.Boolean(),
                rows: Type.Integer(),
                created: Type.Integer(),
                updated: Type.Integer(),
                unchanged: Type.Integer(),
                faults: Type.Array(Fault),
                warnings: Type.Array(Fault),
              }),
            },
          },
        },
        async (request) => {
          if (!Buffer.isBuffer(request.body))
            throw serverErrors.make("media-type-unsupported", { type: "(none)", supported: "text/csv" });
          return deps.imports.run(kind, request.body, {
            encoding: wantedEncoding(request.query.encoding, request.headers["content-type"]),
            dryRun: request.query.dryRun === true,
          });
        },
      );
    done();
  });
}

/** `?encoding=`, else the charset of the content type, else UTF-8. @throws input-invalid */
function wantedEncoding(asked: string | undefined, contentType: string | undefined): Encoding {
  const name = asked ?? /;\s*charset="?([^";\s]+)/i.exec(contentType ?? "")?.[1];
  if (name === undefined) return "utf-8";
  const encoding = encodingOf(name);
  if (encoding === undefined)
    throw inputInvalid([{ path: "querystring/encoding", message: `must be one of ${encodings.join(", ")}` }]);
  return encoding;
}
