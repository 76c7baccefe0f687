export { rescanProbes, scan, type ScanOptions, type ScanResult, type WalkOptions } from "./recognise/index.ts";
