/**
 * Purpose: the list of collectors. Whoever adds a source of titles adds a folder and one line here.
 */
import type { Collector } from "./collector.ts";

export const collectors: readonly Collector[] = [];

export * from "./collector.ts";
