export { cliErrors } from "./errors.ts";
export type { Io, Stream } from "./io.ts";
export { main } from "./main.ts";
export { run } from "./program.ts";
export { renderCliReference } from "./reference.ts";
