/**
 * Purpose: the schemas of routes, compiled when a request first needs them. A server has 139 operations with some each; compiled all at once they were most of
 * the time a server took to start, and most are not asked for on most days.
 * Invariants: the compilers are fastify's own; only when they run differs.
 */
import ajvCompiler, { type BuildCompilerFromPool } from "@fastify/ajv-compiler";
import serializerCompiler, { type SerializerFactory } from "@fastify/fast-json-stringify-compiler";
import type { FastifyServerOptions } from "fastify";
import { breathe } from "../slices.ts";

type Validate = ReturnType<ReturnType<BuildCompilerFromPool>>;
type Serialize = ReturnType<ReturnType<SerializerFactory>>;

// One compiler for all servers of a process: it knows again the schemas that it has compiled.
const validators = ajvCompiler();
const serializers = serializerCompiler();

const buildValidator: BuildCompilerFromPool = (...shared) => {
  const compile = validators(...shared);
  return (...route) => {
    let compiled: Validate | undefined;
    const validate = (data: unknown): boolean | Promise<unknown> => {
      if (compiled === undefined) return compileInTurn().then(() => validate(data));
      const answer = compiled(data);
      (validate as Validate).errors = compiled.errors ?? null;
      return answer;
    };
    // A route has several schemas, and each takes long.
    const compileInTurn = async (): Promise<void> => {
      await breathe();
      compiled ??= compile(...route);
      await breathe();
    };
    return validate as Validate;
  };
};

const buildSerializer: SerializerFactory = (...shared) => {
  const compile = serializers(...shared);
  return (route) => {
    let compiled: Serialize | undefined;
    return (data) => (compiled ??= compile(route))(data);
  };
};

export const compiledOnFirstUse: FastifyServerOptions["schemaController"] = {
  compilersFactory: { buildValidator, buildSerializer },
};
