// Violates: kysely-in-stores-only, packages-only-through-their-index, no-test-code-in-products.
import { sql } from "kysely";
import { describe } from "vitest";
import { createLog } from "../../../../../packages/kernel/src/log.ts";

export const violation = [sql, describe, createLog];
