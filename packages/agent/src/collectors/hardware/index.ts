export { collectHardware, type HardwareParts, type MachineFacts } from "./hardware.ts";
export { isJunkMac, isJunkSerial, isJunkUuid, isOwnMac } from "./junk.ts";
