export { collectHardware, type HardwareParts, type MachineFacts } from "./hardware.ts";
export { isJunkMac, isJunkSerial, isJunkUuid, isOwnMac } from "./junk.ts";
export { installDateOfRegistry } from "./install-date.ts";
