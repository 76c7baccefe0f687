/** Purpose: the thread in which isolated.ts lets systeminformation run. Answers with one IsolatedAnswer. */
import { parentPort } from "node:worker_threads";
import { createFindings } from "../findings.ts";
import type { IsolatedAnswer } from "./isolated.ts";
import { readPortableHardware } from "./portable.ts";

const { default: information } = await import("systeminformation");
const findings = createFindings();
const facts = await readPortableHardware(information, process.platform, findings);
parentPort?.postMessage({ facts, errors: findings.result().errors } satisfies IsolatedAnswer);
