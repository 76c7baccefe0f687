/** Purpose: what the resident starts for a scan: `node scan-entry.js <request file> <answer file>`. */
import { runScanChild } from "./scan-child.ts";

const [requestFile, answerFile] = process.argv.slice(2);
if (requestFile === undefined || answerFile === undefined) process.exit(2);
await runScanChild(requestFile, answerFile);
