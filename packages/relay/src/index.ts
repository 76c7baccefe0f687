export { loadRelayConfig, relayConfigSchema, type RelayConfig, type RelayLimits } from "./config.ts";
export { relayErrors } from "./errors.ts";
export { createRelay, type Relay, type RelayOptions } from "./relay.ts";
