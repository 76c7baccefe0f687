export { spoolErrors } from "./errors.ts";
export { headerBytes as spoolRecordOverhead, maxRecordBytes } from "./format.ts";
export { nodeFs, type SpoolFile, type SpoolFs } from "./fs.ts";
export { lockDirectory } from "./lock.ts";
export type { Damage } from "./segment.ts";
export { openSpool, type Spool, type SpoolOptions, type SpoolRecord, type SpoolStats } from "./spool.ts";
