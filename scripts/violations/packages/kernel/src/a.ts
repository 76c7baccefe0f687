// Violates: no-cycles, together with b.ts.
import { b } from "./b.ts";

export const a = (): number => b() + 1;
