/**
 * Purpose: the usual routes of a resource that is told apart by a key its owner chose: list, get, create, replace, change.
 * PUT creates or replaces (an absent optional field is cleared), PATCH changes what is given, POST creates. A POST with an `Idempotency-Key` that
 * is repeated finds its own work done and is answered as the first time; if what is there differs, or the key came with something else before, it
 * is a conflict.
 */
import { Type, type TSchema } from "@sinclair/typebox";
import type { FastifyInstance, RouteShorthandOptions } from "fastify";
import { isDaichoError } from "@daicho/kernel";
import { serverErrors } from "../errors.ts";
import type { WriteMode } from "../rows.ts";
import type { AccessService } from "../modules/access/index.ts";
import type { Authorize } from "./authorize.ts";
import { ListQuery, listOf, sendPage } from "./list.ts";
import type { Page } from "../db/page.ts";
import { inputInvalid } from "./problem.ts";
import { Key, Text } from "./text.ts";

export interface Resource<Item extends object> {
  /** `/api/v1/departments` */
  readonly path: string;
  readonly tag: string;
  /** `department`, for messages. */
  readonly what: string;
  readonly key: string;
  readonly keyLimit: number;
  readonly item: TSchema;
  /** Fields that can be set besides the key: required ones and optional ones. */
  readonly required: Readonly<Record<string, TSchema>>;
  readonly optional: Readonly<Record<string, TSchema>>;
  /** Optional ones that have no "nothing": PUT leaves them as they are when absent. */
  readonly kept?: Readonly<Record<string, TSchema>>;
  readonly filters: Readonly<Record<string, TSchema>>;
  list(query: Readonly<Record<string, unknown>>): Promise<Page<Item>>;
  get(key: string): Promise<Item | undefined>;
  save(
    input: Readonly<Record<string, unknown>>,
    mode: WriteMode,
  ): Promise<{ readonly created: boolean; readonly saved: Item }>;
}

export interface ResourceAccess {
  readonly authorize: Authorize;
  readonly keys: Pick<AccessService, "claimKey" | "releaseKey">;
}

/** The same schema, or null. Written as a list of types, so that Ajv's coercion leaves null alone. */
export function orNull(schema: TSchema): TSchema {
  return {
    ...schema,
    type: [schema["type"], "null"],
    ...(Array.isArray(schema["enum"]) && { enum: [...(schema["enum"] as unknown[]), null] }),
  };
}

export function resourceRoutes<Item extends object>(
  app: FastifyInstance,
  { authorize, keys }: ResourceAccess,
  resource: Resource<Item>,
): void {
  const { path, what, key } = resource;
  const read = { onRequest: authorize.role("auditor") };
  const write = { onRequest: authorize.role("manager") };
  const nullable = {
    ...mapValues(resource.optional, (schema) => Type.Optional(orNull(schema))),
    ...mapValues(resource.kept ?? {}, (schema) => Type.Optional(schema)),
  };
  const params = Type.Object({ key: Key(resource.keyLimit, `${what} ${key}`) });
  const created = { 200: resource.item, 201: resource.item };
  const strict = { additionalProperties: false };
  const tags = [resource.tag];
  const one = `${path}/:key`;
  const keyed = (request: { params: unknown; body: unknown }): Record<string, unknown> => {
    const id = (request.params as { key: string }).key;
    const body = request.body as Record<string, unknown>;
    if (body[key] !== undefined && body[key] !== id)
      throw inputInvalid([{ path: `/${key}`, message: "is not the one in the path, and cannot be changed" }]);
    return { ...body, [key]: id };
  };
  const schema = (options: Record<string, unknown>): RouteShorthandOptions => ({ schema: { tags, ...options } });

  app.get(
    path,
    {
      ...read,
      ...schema({
        summary: `List: ${resource.tag}`,
        querystring: Type.Object({
          ...ListQuery.properties,
          ...mapValues({ [key]: Text(resource.keyLimit), ...resource.filters }, (s) => Type.Optional(s)),
        }),
        response: { 200: listOf(resource.item) },
      }),
    },
    async (request, reply) => {
      return sendPage(request, reply, await resource.list(request.query as Record<string, unknown>));
    },
  );

  app.get(
    one,
    { ...read, ...schema({ summary: `One ${what}`, params, response: { 200: resource.item } }) },
    async (request) => {
      const id = (request.params as { key: string }).key;
      const item = await resource.get(id);
      if (item === undefined) throw serverErrors.make("not-found", { what, id });
      return item;
    },
  );

  app.post(
    path,
    {
      ...write,
      ...schema({
        summary: `Create a ${what}`,
        headers: Type.Object({ "idempotency-key": Type.Optional(Text(255)) }),
        body: Type.Object({ [key]: Key(resource.keyLimit), ...resource.required, ...nullable }, strict),
        response: created,
      }),
    },
    async (request, reply) => {
      const body = request.body as Record<string, unknown>;
      const given = request.headers["idempotency-key"];
      if (given === undefined) return reply.code(201).send((await resource.save(body, "create")).saved);
      const name = [path, request.caller?.tokenId, given].join("\n");
      const first = await keys.claimKey(name, body);
      try {
        return await reply.code(201).send((await resource.save(body, "create")).saved);
      } catch (error) {
        const item = isDaichoError(error, "already-exists") ? await resource.get(body[key] as string) : undefined;
        if (item !== undefined && Object.entries(body).every(([field, value]) => sameValue(item, field, value)))
          return reply.code(201).send(item);
        if (first) await keys.releaseKey(name);
        throw error;
      }
    },
  );

  app.put(
    one,
    {
      ...write,
      ...schema({
        summary: `Create or replace a ${what}`,
        params,
        body: Type.Object({ [key]: Type.Optional(Key(resource.keyLimit)), ...resource.required, ...nullable }, strict),
        response: created,
      }),
    },
    async (request, reply) => {
      const cleared = mapValues(resource.optional, () => null);
      const result = await resource.save({ ...cleared, ...keyed(request) }, "upsert");
      return reply.code(result.created ? 201 : 200).send(result.saved);
    },
  );

  app.patch(
    one,
    {
      ...write,
      ...schema({
        summary: `Change a ${what}: only the fields given`,
        params,
        body: Type.Object({ ...mapValues(resource.required, (s) => Type.Optional(s)), ...nullable }, strict),
        response: { 200: resource.item },
      }),
    },
    async (request) => (await resource.save(keyed(request), "change")).saved,
  );
}

function sameValue(item: object, name: string, value: unknown): boolean {
  return ((item as Record<string, unknown>)[name] ?? null) === (value ?? null);
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
