/** Purpose: the starter policy that ships with the product: `examples/enterprise.policy.yaml` beside the packages. */
import { fileURLToPath } from "node:url";
import { readText } from "../files/read.ts";

export function starterPolicy(): Promise<string> {
  // src/up and dist/up lie equally deep.
  return readText(fileURLToPath(new URL("../../../../examples/enterprise.policy.yaml", import.meta.url)));
}
