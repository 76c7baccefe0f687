import { Type } from "@sinclair/typebox";
import fc from "fast-check";
import fastify, { type FastifyInstance } from "fastify";
import { expect, it } from "vitest";
import { installSlicedAnswers } from "./sliced-answers.ts";

const Item = Type.Object({ name: Type.String(), rows: Type.Optional(Type.Array(Type.Integer())) });
const schema = Type.Object({
  version: Type.Integer(),
  items: Type.Array(Item),
  inner: Type.Object({ empty: Type.Array(Type.String()), names: Type.Array(Type.String()) }),
  nextCursor: Type.Optional(Type.String()),
});

async function server(install: (app: FastifyInstance) => void, answer: () => object): Promise<FastifyInstance> {
  const app = fastify();
  install(app);
  app.get("/sieved", { schema: { response: { 200: schema } } }, answer);
  app.get("/plain", answer);
  await app.ready();
  return app;
}

it("an answer with long lists is the same text as one written in one go, by the route's schema or without one", async () => {
  let answer: object = {};
  const sliced = await server(installSlicedAnswers, () => answer);
  const whole = await server(
    () => undefined,
    () => answer,
  );
  const length = fc.constantFrom(0, 1, 200, 201, 1500);
  const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
  await fc.assert(
    fc.asyncProperty(length, length, length, fc.string(), async (items, names, rows, text) => {
      answer = {
        version: 7,
        hidden: numbers(names),
        items: numbers(items).map((i) => ({ name: `${text}${i}`, hidden: i, ...(i === 0 && { rows: numbers(rows) }) })),
        inner: { empty: [], names: numbers(names).map((i) => `]${text}${i}`) },
        ...(items > 1 && { nextCursor: text }),
      };
      for (const url of ["/sieved", "/plain"]) {
        const [a, b] = [await sliced.inject(url), await whole.inject(url)];
        expect(a.body).toBe(b.body);
        for (const name of ["content-type", "content-length"]) expect(a.headers[name]).toBe(b.headers[name]);
      }
    }),
    { numRuns: 20 },
  );
});
