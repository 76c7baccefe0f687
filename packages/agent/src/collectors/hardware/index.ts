export { collectHardware, type HardwareParts, type MachineFacts } from "./hardware.ts";
export { isJunkMac, isJunkSerial, isJunkUuid } from "./junk.ts";
