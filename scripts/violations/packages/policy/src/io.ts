// Violates: policy-imports-only-protocol (kernel), pure-packages-do-no-io (fs).
import { readFileSync } from "node:fs";
import { systemClock } from "../../../../../packages/kernel/src/index.ts";

export const violation = [readFileSync, systemClock];
