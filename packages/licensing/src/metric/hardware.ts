/**
 * Purpose: an inventory's hardware as metric rules ask for it.
 * Invariants: never throws and never invents: what is there in another form than ours (inventories may say more than this version knows) is left
 * out, and numbers beyond any machine's are cut to the limit of what may be said.
 */
import type { Hardware, MeasuredHardware, Processors } from "@daicho/protocol";

const most = { sockets: 65_536, cores: 1_048_576, machines: 1_000_000, users: 1_000_000_000 };

export function measuredHardware(hardware: Hardware | undefined): MeasuredHardware {
  if (hardware === undefined) return {};
  const more = hardware as Readonly<Record<string, unknown>>;
  const host = record(more["host"]);
  const virtualMachines = whole(more["virtualMachines"], most.machines);
  const virtualCores = whole(more["virtualCores"], most.cores);
  const users = whole(more["users"], most.users);
  return {
    ...processorsIn(more),
    ...(hardware.os !== undefined && { os: hardware.os }),
    ...(hardware.virtual !== undefined && { virtual: hardware.virtual }),
    ...(host !== undefined && { host: processorsIn(host) }),
    ...(virtualMachines !== undefined && { virtualMachines }),
    ...(virtualCores !== undefined && { virtualCores }),
    ...(users !== undefined && { users }),
  };
}

function processorsIn(from: Readonly<Record<string, unknown>>): { cpu?: Processors; cpus?: Processors[] } {
  const cpu = record(from["cpu"]);
  const list: unknown = from["cpus"];
  const cpus = Array.isArray(list)
    ? list
        .map(record)
        .filter((c) => c !== undefined)
        .slice(0, 4096)
    : [];
  return {
    ...(cpu !== undefined && { cpu: processors(cpu) }),
    ...(cpus.length > 0 && { cpus: cpus.map(processors) }),
  };
}

function processors(cpu: Readonly<Record<string, unknown>>): Processors {
  const { model, manufacturer } = cpu;
  const sockets = whole(cpu["sockets"], most.sockets);
  const cores = whole(cpu["cores"], most.cores);
  return {
    ...(typeof model === "string" && { model: model.slice(0, 256) }),
    ...(typeof manufacturer === "string" && { manufacturer: manufacturer.slice(0, 256) }),
    ...(sockets !== undefined && { sockets }),
    ...(cores !== undefined && { cores }),
  };
}

function whole(value: unknown, limit: number): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? Math.min(value, limit) : undefined;
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
